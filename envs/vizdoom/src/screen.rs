//! What a frame is: its size, and how its pixels lie in memory.
//!
//! Source: ViZDoom 1.3.2, `ViZDoomTypes.h` and `ViZDoomController.cpp`.

use crate::names::{named, no, plain};

named! {
    /// Pixel format of the screen and automap buffers.
    ScreenFormat "format" {
        CrCgCb "CRCGCB" "Three planes, red first.",
        Rgb24 "RGB24" "Three bytes a pixel, red first.",
        Rgba32 "RGBA32" "Four bytes a pixel, red first.",
        Argb32 "ARGB32" "Four bytes a pixel, red second.",
        CbCgCr "CBCGCR" "Three planes, blue first.",
        Bgr24 "BGR24" "Three bytes a pixel, blue first.",
        Bgra32 "BGRA32" "Four bytes a pixel, blue first.",
        Abgr32 "ABGR32" "Four bytes a pixel, blue second.",
        Gray8 "GRAY8" "A byte a pixel, its brightness.",
        Doom256Colors8 "DOOM_256_COLORS8" "A byte a pixel, its place in Doom's palette.",
    }
}

impl ScreenFormat {
    /// Returns the number of bytes per pixel, all planes together.
    pub fn channels(self) -> usize {
        match self {
            ScreenFormat::CrCgCb | ScreenFormat::CbCgCr | ScreenFormat::Rgb24 | ScreenFormat::Bgr24 => 3,
            ScreenFormat::Rgba32 | ScreenFormat::Argb32 | ScreenFormat::Bgra32 | ScreenFormat::Abgr32 => 4,
            ScreenFormat::Gray8 | ScreenFormat::Doom256Colors8 => 1,
        }
    }

    /// Whether a frame is `[channels, height, width]` in memory, not `[height, width, channels]`.
    pub fn is_planar(self) -> bool {
        matches!(self, ScreenFormat::CrCgCb | ScreenFormat::CbCgCr)
    }
}

/// Size of a frame in pixels, one of ViZDoom's resolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ScreenResolution {
    width: usize,
    height: usize,
    name: &'static str,
}

impl ScreenResolution {
    /// All resolutions, in ViZDoom's order.
    pub const ALL: &[ScreenResolution] = &[
        Self::of(160, 120, "RES_160X120"),
        Self::of(200, 125, "RES_200X125"),
        Self::of(200, 150, "RES_200X150"),
        Self::of(256, 144, "RES_256X144"),
        Self::of(256, 160, "RES_256X160"),
        Self::of(256, 192, "RES_256X192"),
        Self::of(320, 180, "RES_320X180"),
        Self::of(320, 200, "RES_320X200"),
        Self::of(320, 240, "RES_320X240"),
        Self::of(320, 256, "RES_320X256"),
        Self::of(400, 225, "RES_400X225"),
        Self::of(400, 250, "RES_400X250"),
        Self::of(400, 300, "RES_400X300"),
        Self::of(512, 288, "RES_512X288"),
        Self::of(512, 320, "RES_512X320"),
        Self::of(512, 384, "RES_512X384"),
        Self::of(640, 360, "RES_640X360"),
        Self::of(640, 400, "RES_640X400"),
        Self::of(640, 480, "RES_640X480"),
        Self::of(800, 450, "RES_800X450"),
        Self::of(800, 500, "RES_800X500"),
        Self::of(800, 600, "RES_800X600"),
        Self::of(1024, 576, "RES_1024X576"),
        Self::of(1024, 640, "RES_1024X640"),
        Self::of(1024, 768, "RES_1024X768"),
        Self::of(1280, 720, "RES_1280X720"),
        Self::of(1280, 800, "RES_1280X800"),
        Self::of(1280, 960, "RES_1280X960"),
        Self::of(1280, 1024, "RES_1280X1024"),
        Self::of(1400, 787, "RES_1400X787"),
        Self::of(1400, 875, "RES_1400X875"),
        Self::of(1400, 1050, "RES_1400X1050"),
        Self::of(1600, 900, "RES_1600X900"),
        Self::of(1600, 1000, "RES_1600X1000"),
        Self::of(1600, 1200, "RES_1600X1200"),
        Self::of(1920, 1080, "RES_1920X1080"),
    ];

    /// ViZDoom's default resolution, 320 × 240 pixels.
    pub const RES_320X240: ScreenResolution = Self::of(320, 240, "RES_320X240");

    const fn of(width: usize, height: usize, name: &'static str) -> Self {
        Self { width, height, name }
    }

    /// Returns the resolution of this size in pixels, if ViZDoom has it.
    pub fn sized(width: usize, height: usize) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| (it.width, it.height) == (width, height))
    }

    /// Returns the resolution with a name such as `RES_320X240`, ignoring case and underscores as in `.cfg` files.
    pub fn named(text: &str) -> Option<Self> {
        let text = plain(text);
        Self::ALL.iter().copied().find(|it| plain(it.name) == text)
    }

    /// Does what [`Self::named`] does, with a message where there is no such resolution.
    pub(crate) fn meant(text: &str) -> Result<Self, String> {
        Self::named(text).ok_or_else(|| no("resolution", text, Self::ALL.iter().map(|it| it.name)))
    }

    /// Returns the name in ViZDoom's documentation and in `.cfg` files, such as `RES_320X240`.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns the width in pixels.
    pub fn width(self) -> usize {
        self.width
    }

    /// Returns the height in pixels.
    pub fn height(self) -> usize {
        self.height
    }

    /// Returns the engine's number of the aspect ratio, for its variable `vid_aspect`: 1 for 16:9, 2 for 16:10, 3 for
    /// 4:3, 4 for 5:4, else 0.
    pub fn aspect(self) -> usize {
        let is = |w: usize, h: usize| self.width * h == self.height * w;
        [is(16, 9), is(16, 10), is(4, 3), is(5, 4)].iter().position(|&is| is).map_or(0, |at| at + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ratios_are_those_of_the_names() {
        for &it in ScreenResolution::ALL {
            assert_eq!(it.name(), format!("RES_{}X{}", it.width(), it.height()));
            assert_eq!(ScreenResolution::named(it.name()), Some(it));
            assert_eq!(ScreenResolution::sized(it.width(), it.height()), Some(it));
        }
        let aspect = |w, h| ScreenResolution::sized(w, h).unwrap().aspect();
        let ratios = [aspect(1920, 1080), aspect(320, 200), aspect(320, 240), aspect(320, 256), aspect(1400, 787)];
        assert_eq!(ratios, [1, 2, 3, 4, 0]);
        assert_eq!(ScreenResolution::sized(84, 84), None);
    }

    #[test]
    fn planes_have_the_bytes_of_pixels() {
        assert!(ScreenFormat::CrCgCb.is_planar() && !ScreenFormat::Rgb24.is_planar());
        assert_eq!(ScreenFormat::ALL.iter().map(|it| it.channels()).sum::<usize>(), 4 * 3 + 4 * 4 + 2);
    }
}
