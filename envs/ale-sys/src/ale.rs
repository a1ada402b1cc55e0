//! One console with one game: acting, looking, saving.

use std::ffi::{CStr, CString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr::{self, NonNull};

use crate::bindings::{self, Shim};
use crate::{Error, Result, Rom};

/// ALE's number of the action NOOP, which presses nothing.
pub const NOOP: i32 = 0;
/// ALE's number of the action FIRE, which presses the button alone.
pub const FIRE: i32 = 1;
/// Number of bytes of the console's memory (RAM).
pub const RAM_LEN: usize = 128;

/// Number of sound samples per frame: at 60 frames per second, a sample rate of 30,720 Hz.
pub const SOUND_LEN: usize = 512;

/// Number of bytes for an error message of the shim, with its final nul.
const ERROR_LEN: usize = 256;

/// First bytes of a saved state; the last digit rises when the shim saves other fields.
const MAGIC: &[u8; 12] = b"ALE-0.12.1-1";
const MD5_LEN: usize = 32;
const SUM_LEN: usize = 4;
const HEAD_LEN: usize = MAGIC.len() + MD5_LEN + SUM_LEN;

/// Colour and luminance of each of the 256 palette indices that [`Ale::screen`] consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Palette {
    /// Red, green and blue of each index.
    pub rgb: [[u8; 3]; 256],
    /// Luminance of each index as ALE computes it: .2989 R + .5870 G + .1140 B, rounded.
    pub gray: [u8; 256],
}

/// One emulated Atari 2600 console with one game, as `ALEInterface` of ALE.
#[derive(Debug)]
pub struct Ale {
    shim: NonNull<Shim>,
    rom: Rom,
    minimal: Vec<i32>,
    legal: Vec<i32>,
}

// SAFETY: a handle owns its console, its game's settings and its random generators, and ALE keeps no thread-local state.
// What consoles share is written once, under std::call_once or the lock in ale_shim_new, and only read afterwards; two
// games (Galaxian, Space Invaders) hold a static list that nothing writes after the program's start.
unsafe impl Send for Ale {}

impl Drop for Ale {
    fn drop(&mut self) {
        // SAFETY: `shim` came from ale_shim_new and is freed here only.
        unsafe { bindings::ale_shim_free(self.shim.as_ptr()) }
    }
}

impl Ale {
    /// Makes a console and loads a game, as `ale-py` does with `repeat_action_probability = sticky`,
    /// `random_seed = seed` and the emulator's default seed. Takes some 20 ms; [`seed`](Ale::seed) and
    /// [`reset`](Ale::reset) start other episodes.
    ///
    /// # Errors
    /// If the ROM file is missing or has changed, or ALE cannot load it.
    pub fn new(rom: &Rom, sticky: f32, seed: u32) -> Result<Self> {
        rom.check()?; // what ALE does not know ends the process
        let path = CString::new(rom.path().as_os_str().as_bytes())
            .map_err(|_| Error::Engine(format!("{} holds a zero byte", rom.path().display())))?;
        let mut shim = ptr::null_mut();
        call(|error, len| {
            // SAFETY: `path` is a string that outlives the call, and `error` has room for `len` bytes.
            shim = unsafe { bindings::ale_shim_new(path.as_ptr(), sticky, seed, error, len) };
            c_int::from(shim.is_null())
        })?;
        let shim = NonNull::new(shim).ok_or_else(|| Error::Engine("no handle".to_owned()))?;
        let mut ale = Self { shim, rom: rom.clone(), minimal: Vec::new(), legal: Vec::new() };
        // SAFETY: the handle is valid, and `list` passes a buffer with its capacity.
        ale.minimal = list(|out, capacity| unsafe { bindings::ale_shim_minimal_actions(ale.raw(), out, capacity) });
        // SAFETY: as above.
        ale.legal = list(|out, capacity| unsafe { bindings::ale_shim_legal_actions(ale.raw(), out, capacity) });
        Ok(ale)
    }

    /// Returns the ROM that was loaded.
    pub fn rom(&self) -> &Rom {
        &self.rom
    }

    /// Plays one emulator frame with `action` held and returns its reward. Once the game is over nothing changes until
    /// a reset.
    ///
    /// # Errors
    /// If `action` is not one of ALE's 18 actions, 0 to 17.
    pub fn act(&mut self, action: i32) -> Result<i32> {
        let mut reward = 0;
        call(|error, len| {
            // SAFETY: the handle is valid and exclusively borrowed; `reward` and `error` outlive the call.
            unsafe { bindings::ale_shim_act(self.shim.as_ptr(), action, &mut reward, error, len) }
        })?;
        Ok(reward)
    }

    /// Starts an episode, which takes some 70 emulator frames. Its initial state depends on what was played before,
    /// since the console keeps some memory, as a real one does; [`load`](Ale::load) a state for an exact start.
    ///
    /// # Errors
    /// If ALE fails.
    pub fn reset(&mut self) -> Result<()> {
        // SAFETY: the handle is valid and exclusively borrowed.
        call(|error, len| unsafe { bindings::ale_shim_reset(self.shim.as_ptr(), error, len) })
    }

    /// Seeds the generator that draws sticky actions.
    pub fn seed(&mut self, seed: u32) {
        // SAFETY: the handle is valid and exclusively borrowed.
        unsafe { bindings::ale_shim_seed(self.shim.as_ptr(), seed) }
    }

    /// Sets the game mode, one of [`modes`](Ale::modes), from the next reset on.
    ///
    /// # Errors
    /// If the game has no such mode.
    pub fn set_mode(&mut self, mode: u32) -> Result<()> {
        // SAFETY: the handle is valid and exclusively borrowed.
        call(|error, len| unsafe { bindings::ale_shim_set_mode(self.shim.as_ptr(), mode, error, len) })
    }

    /// Sets the difficulty switches, to one of [`difficulties`](Ale::difficulties), from the next frame on.
    ///
    /// # Errors
    /// If the game has no such difficulty.
    pub fn set_difficulty(&mut self, difficulty: u32) -> Result<()> {
        // SAFETY: the handle is valid and exclusively borrowed.
        call(|error, len| unsafe { bindings::ale_shim_set_difficulty(self.shim.as_ptr(), difficulty, error, len) })
    }

    /// Returns the number of lives left, as ALE counts them; 0 in a game without lives once it is over.
    pub fn lives(&self) -> u32 {
        // SAFETY: the handle is valid. ALE's `lives` is not const, and still writes nothing in any game.
        let lives = unsafe { bindings::ale_shim_lives(self.raw()) };
        u32::try_from(lives).unwrap_or(0)
    }

    /// Whether the game is over, so that only a reset or a load goes on.
    pub fn game_over(&self) -> bool {
        // SAFETY: the handle is valid.
        unsafe { bindings::ale_shim_game_over(self.raw()) != 0 }
    }

    /// Returns the number of emulator frames since the last reset, including those in which the reset selects the game
    /// mode.
    pub fn episode_frame(&self) -> u32 {
        // SAFETY: the handle is valid.
        unsafe { bindings::ale_shim_episode_frame(self.raw()) }
    }

    /// Returns ALE's minimal action set: the actions that have an effect in this game, as numbers from 0 to 17.
    pub fn minimal_actions(&self) -> &[i32] {
        &self.minimal
    }

    /// Returns ALE's legal action set, as numbers from 0 to 17: all 18 actions in nearly every game.
    pub fn legal_actions(&self) -> &[i32] {
        &self.legal
    }

    /// Returns the modes of the game; the first is not always the default.
    pub fn modes(&self) -> Vec<u32> {
        // SAFETY: the handle is valid, and `list` passes a buffer with its capacity.
        list(|out, capacity| unsafe { bindings::ale_shim_modes(self.raw(), out, capacity) })
    }

    /// Returns the settings of the difficulty switches that the game knows.
    pub fn difficulties(&self) -> Vec<u32> {
        // SAFETY: the handle is valid, and `list` passes a buffer with its capacity.
        list(|out, capacity| unsafe { bindings::ale_shim_difficulties(self.raw(), out, capacity) })
    }

    /// Returns height and width of the screen in pixels: 210 × 160, and 250 × 160 for a few games.
    pub fn screen_size(&self) -> (usize, usize) {
        let (mut height, mut width) = (0, 0);
        // SAFETY: the handle is valid and both outputs outlive the call.
        unsafe { bindings::ale_shim_screen(self.raw(), &mut height, &mut width) };
        (height, width)
    }

    /// Returns the screen of the last frame, `[height, width]`, as indices into the [`palette`](Ale::palette).
    pub fn screen(&self) -> &[u8] {
        let (mut height, mut width) = (0, 0);
        // SAFETY: the handle is valid and both outputs outlive the call.
        let pixels = unsafe { bindings::ale_shim_screen(self.raw(), &mut height, &mut width) };
        // SAFETY: the screen has height × width bytes, stays in its place while the handle lives, and is written only by
        // calls that borrow `self` exclusively.
        unsafe { std::slice::from_raw_parts(pixels, height * width) }
    }

    /// Returns the console's memory (RAM).
    pub fn ram(&self) -> &[u8; RAM_LEN] {
        // SAFETY: the handle is valid; the memory has 128 bytes, stays in its place while the handle lives, and is written
        // only by calls that borrow `self` exclusively.
        unsafe { &*bindings::ale_shim_ram(self.raw()).cast::<[u8; RAM_LEN]>() }
    }

    /// Writes one byte of the console's memory, for tests of situations that are hard to reach by playing.
    ///
    /// # Panics
    /// If `at` is not below 128.
    pub fn set_ram(&mut self, at: usize, value: u8) {
        assert!(at < RAM_LEN, "address {at} of {RAM_LEN} bytes");
        // SAFETY: the handle is valid and exclusively borrowed, and the address exists.
        unsafe { bindings::ale_shim_set_ram(self.shim.as_ptr(), at, value) }
    }

    /// Appends the [`SOUND_LEN`] sound samples of the last frame to `out`, as `ale-py`'s `getAudio` gives them:
    /// unsigned 8-bit mono, 128 being silence. To be called once per frame; nothing that is played or saved depends on
    /// it.
    pub fn hear(&mut self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.resize(begin + SOUND_LEN, 0);
        let frame = &mut out[begin..];
        // SAFETY: the handle is valid and exclusively borrowed, and `frame` is writable for its length.
        unsafe { bindings::ale_shim_sound(self.shim.as_ptr(), frame.as_mut_ptr(), frame.len()) }
    }

    /// Returns the palette of the game's television system.
    pub fn palette(&self) -> Palette {
        let (mut rgb, mut gray) = ([0u32; 256], [0u8; 256]);
        // SAFETY: the handle is valid, and both arrays have the 256 elements that the shim writes.
        unsafe { bindings::ale_shim_palette(self.raw(), rgb.as_mut_ptr(), gray.as_mut_ptr()) };
        Palette { rgb: rgb.map(|c| [(c >> 16) as u8, (c >> 8) as u8, c as u8]), gray }
    }

    /// Appends the complete state to `out`, some 150 kB. Loaded into any console with the same ROM and sticky
    /// probability, in this process or another, it goes on with equal bits.
    ///
    /// # Errors
    /// If ALE cannot give its state.
    pub fn save(&self, out: &mut Vec<u8>) -> Result<()> {
        let (mut data, mut len) = (ptr::null(), 0);
        call(|error, error_len| {
            // SAFETY: saving reads the console and writes only the buffer of the handle, which no other thread can
            // hold (`Ale` is not `Sync`) and of which no borrow is kept; all outputs outlive the call.
            unsafe { bindings::ale_shim_save(self.shim.as_ptr(), &mut data, &mut len, error, error_len) }
        })?;
        // SAFETY: on success `data` has `len` bytes, which the handle keeps until the next save.
        let state = unsafe { std::slice::from_raw_parts(data, len) };
        out.reserve(HEAD_LEN + len);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(self.rom.md5());
        out.extend_from_slice(&crc32fast::hash(state).to_le_bytes());
        out.extend_from_slice(state);
        Ok(())
    }

    /// Restores what [`save`](Ale::save) wrote, including the generator of sticky actions.
    ///
    /// # Errors
    /// If `bytes` is damaged, the state of another game or version, or holds impossible values. The console may then be
    /// partly restored, and what it plays means nothing: load another state, or reset.
    pub fn load(&mut self, bytes: &[u8]) -> Result<()> {
        let refuse = |message: &str| Error::State { game: self.rom.game().to_owned(), message: message.to_owned() };
        let (head, state) = bytes.split_at_checked(HEAD_LEN).ok_or_else(|| refuse("the state ends early"))?;
        let (magic, head) = head.split_at(MAGIC.len());
        let (md5, sum) = head.split_at(MD5_LEN);
        if magic != MAGIC {
            return Err(refuse("not a state of this version of ALE"));
        }
        if md5 != self.rom.md5() {
            return Err(refuse("the state of another game"));
        }
        // ALE trusts what it reads: lengths in a damaged state would become allocations.
        if sum != crc32fast::hash(state).to_le_bytes() {
            return Err(refuse("damaged: its checksum does not match"));
        }
        call(|error, len| {
            // SAFETY: the handle is valid and exclusively borrowed, and `state` is readable for its length.
            unsafe { bindings::ale_shim_load(self.shim.as_ptr(), state.as_ptr(), state.len(), error, len) }
        })
    }

    fn raw(&self) -> *const Shim {
        self.shim.as_ptr()
    }
}

/// Calls a function of the shim with a buffer for a message, which becomes the error if the status is not 0.
fn call(function: impl FnOnce(*mut c_char, usize) -> c_int) -> Result<()> {
    let mut error = [0u8; ERROR_LEN];
    if function(error.as_mut_ptr().cast(), ERROR_LEN) == 0 {
        return Ok(());
    }
    let message =
        CStr::from_bytes_until_nul(&error).map_or_else(|_| String::from_utf8_lossy(&error), CStr::to_string_lossy);
    Err(Error::Engine(message.into_owned()))
}

/// Reads a list from the shim: asks `fill` for its length, then for its content.
fn list<T: Copy + Default>(fill: impl Fn(*mut T, usize) -> usize) -> Vec<T> {
    let mut values = vec![T::default(); fill(ptr::null_mut(), 0)];
    let written = fill(values.as_mut_ptr(), values.len());
    values.truncate(written);
    values
}
