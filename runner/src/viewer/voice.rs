//! Converts a game's samples to a device's: another rate, another scale, and silence where none come.
//!
//! Samples are interpolated by Lanczos' kernel. The rate at which they are taken follows the number that waits, by up
//! to half a percent, which nobody hears. So the clocks of device, game and window may differ, and neither gaps nor
//! delays build up. Source: Duchon 1979 (the kernel); Arntzen, "Dynamic rate control for retro game emulators", 2012.

use crossbeam_channel::Receiver;

/// Samples that the kernel reaches to each side.
const REACH: usize = 3;
/// Largest change of the rate with the number of samples that wait.
const FOLLOW: f64 = 0.005;
/// Share of a level that is left after each of the game's samples. A constant level, as of a register that nobody
/// writes, so becomes silent, and sound that ends fades within some milliseconds instead of clicking. Cuts off below 25
/// Hz.
const FADE: f32 = 0.995;
/// Level below which no device differs from silence, half of a 24-bit sample.
const INAUDIBLE: f32 = 6e-8;
/// A sample of the game that is silent.
const SILENCE: u8 = 128;

/// Converts samples for a device, and never waits for one.
#[derive(Debug)]
pub(super) struct Voice {
    /// Samples of the game per sample of the device by their rates; `step` is that at present.
    nominal: f64,
    step: f64,
    /// Samples that wait before the first is taken, and on average.
    waiting: usize,
    /// Whether samples are being taken; else they are waited for.
    going: bool,
    /// How far the device is behind the newest sample but `reach`, in samples; at least 0 and below 1 between calls.
    at: f64,
    /// The last 2 · `reach` levels, oldest first, from -1 to 1.
    heard: Box<[f32]>,
    /// The game's last sample, and the level that it became.
    last: (f32, f32),
}

impl Voice {
    /// Converts from `game` samples per second to `device` samples per second; `waiting` samples are to wait.
    pub(super) fn new(game: u32, device: u32, waiting: usize) -> Self {
        let nominal = f64::from(game) / f64::from(device);
        // Where the device has the lower rate the kernel is wider, and lets through only what the device can hold.
        let reach = REACH * nominal.ceil().max(1.0) as usize;
        let silence = level(SILENCE);
        let heard = vec![0.0; 2 * reach].into();
        Self { nominal, step: nominal, waiting, going: false, at: 0.0, heard, last: (silence, 0.0) }
    }

    /// Writes what the device plays next, `[frames, channels]`, with the same level from -1 to 1 in each channel.
    pub(super) fn speak(&mut self, samples: &Receiver<u8>, channels: usize, out: &mut [f32]) {
        let ahead = samples.len() as f64 / self.waiting as f64 - 1.0;
        self.step = self.nominal * (1.0 + FOLLOW * ahead.clamp(-1.0, 1.0));
        for frame in out.chunks_mut(channels) {
            frame.fill(self.next(samples));
        }
    }

    fn next(&mut self, samples: &Receiver<u8>) -> f32 {
        while self.at >= 1.0 {
            self.at -= 1.0;
            self.take(samples);
        }
        let reach = self.heard.len() / 2;
        let wide = self.nominal.max(1.0);
        let (mut sum, mut weights) = (0.0, 0.0);
        for (n, level) in self.heard.iter().enumerate() {
            let weight = lanczos((n as f64 - (reach - 1) as f64 - self.at) / wide);
            sum += weight * f64::from(*level);
            weights += weight;
        }
        self.at += self.step;
        (sum / weights).clamp(-1.0, 1.0) as f32
    }

    /// Takes one sample of the game; if there is none, the last level stays and fades.
    fn take(&mut self, samples: &Receiver<u8>) {
        self.going = if self.going { !samples.is_empty() } else { samples.len() >= self.waiting };
        let sample = if self.going { samples.try_recv().ok().map(level) } else { None };
        let (before, faded) = self.last;
        let sample = sample.unwrap_or(before);
        let now = sample - before + FADE * faded;
        let now = if now.abs() < INAUDIBLE { 0.0 } else { now };
        self.last = (sample, now);
        self.heard.copy_within(1.., 0);
        *self.heard.last_mut().expect("a kernel has some width") = now;
    }
}

fn level(sample: u8) -> f32 {
    (f32::from(sample) - f32::from(SILENCE)) / 128.0
}

/// The kernel: sinc(x) · sinc(x / 3), and 0 beyond 3.
fn lanczos(x: f64) -> f64 {
    let x = std::f64::consts::PI * x;
    let reach = std::f64::consts::PI * REACH as f64;
    if x.abs() < 1e-9 {
        1.0
    } else if x.abs() >= reach {
        0.0
    } else {
        let narrow = x / REACH as f64;
        x.sin() / x * (narrow.sin() / narrow)
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::{Sender, bounded};

    use super::*;

    const GAME: u32 = 30_720;
    const WAITING: usize = 1_536;

    /// Sends as many of these samples as there is room for, and says how many that is.
    fn write(to: &Sender<u8>, samples: &[u8]) -> usize {
        samples.iter().take_while(|&&sample| to.try_send(sample).is_ok()).count()
    }

    /// What a device of this rate plays of a sine of some frequency that lasts some seconds, one channel.
    fn sine(device: u32, frequency: f64, seconds: f64) -> Vec<f32> {
        let ((to, from), mut voice) = (bounded(4_096), Voice::new(GAME, device, WAITING));
        let wave = |n: usize| {
            let angle = std::f64::consts::TAU * frequency * n as f64 / f64::from(GAME);
            (128.0 + 60.0 * angle.sin()).round() as u8
        };
        let (mut made, mut out) = (0, Vec::new());
        let frames = (f64::from(GAME) * seconds / 512.0) as usize;
        let per_frame = device as usize / 60;
        for _ in 0..frames {
            let samples: Vec<u8> = (made..made + 512).map(wave).collect();
            assert_eq!(write(&to, &samples), 512, "there is room");
            made += 512;
            let mut some = vec![0.0; per_frame];
            voice.speak(&from, 1, &mut some);
            out.extend(some);
        }
        out
    }

    /// How much of a frequency there is, as the amplitude of a sine.
    fn amount(samples: &[f32], rate: u32, frequency: f64) -> f64 {
        let turn = |n: usize| std::f64::consts::TAU * frequency * n as f64 / f64::from(rate);
        let part = |of: fn(f64) -> f64| -> f64 {
            samples.iter().enumerate().map(|(n, &level)| f64::from(level) * of(turn(n))).sum()
        };
        2.0 * part(f64::sin).hypot(part(f64::cos)) / samples.len() as f64
    }

    #[test]
    fn a_tone_keeps_its_height_and_its_loudness_at_every_rate() {
        for device in [22_050, 44_100, 48_000, 96_000] {
            let played = sine(device, 1_000.0, 3.0);
            let settled = &played[played.len() - device as usize / 4..]; // the last quarter of a second
            // At 22,050 the device plays 367 samples a frame, half of one too few: the pitch follows.
            let most = (980..1_020).map(f64::from).map(|at| (at, amount(settled, device, at)));
            let (at, loud) = most.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
            assert!((at - 1_000.0).abs() <= 5.0, "{device}: {at} Hz");
            assert!((0.40..0.48).contains(&loud), "{device}: {loud}, of 60 / 128");
            let rest: f64 =
                [250.0, 500.0, 1_500.0, 2_000.0, 3_000.0, 7_000.0].map(|at| amount(settled, device, at)).iter().sum();
            assert!(rest < 0.01, "{device}: {rest} of other tones");
        }
    }

    #[test]
    fn what_a_device_cannot_hold_is_let_go() {
        let played = sine(11_025, 9_000.0, 2.0);
        let mirror = amount(&played[11_025..], 11_025, 11_025.0 - 9_000.0);
        assert!(mirror < 0.1, "{mirror}: a tone of 2 kHz that nobody made");
    }

    #[test]
    fn nothing_is_silence_before_amid_and_after() {
        let ((to, from), mut voice) = (bounded(4_096), Voice::new(GAME, 48_000, WAITING));
        let mut speak = |samples: &[u8], frames: usize| {
            write(&to, samples);
            let mut out = vec![9.0; 2 * frames];
            voice.speak(&from, 2, &mut out);
            assert!(out.chunks(2).all(|frame| frame[0] == frame[1]), "both channels are one");
            out.iter().map(|level| level.abs()).fold(0.0, f32::max)
        };
        assert_eq!(speak(&[], 4_800), 0.0);
        assert_eq!(speak(&[188; 512], 4_800), 0.0, "too few to begin with");
        assert!(speak(&[188; 1_024], 600) > 0.2);
        speak(&[], 4_800);
        assert!(speak(&[], 2_400) < 1e-3, "a level that stays fades");
        speak(&[188; 4_096], 4_800);
        assert!(speak(&[], 2_400) < 1e-3);
        assert_eq!(speak(&[128; 512], 100), speak(&[], 100), "it waits for enough again");
    }

    #[test]
    fn clocks_that_differ_leave_as_many_waiting() {
        // A device that is one in a thousand slower or faster than it says: worse than any.
        for device in [47_952, 48_048] {
            let ((to, from), mut voice) = (bounded(4_096), Voice::new(GAME, 48_000, WAITING));
            let mut out = vec![0.0; device / 60];
            let (mut lost, mut least, mut most) = (0, usize::MAX, 0);
            for frame in 0..30 * 60 {
                lost += 512 - write(&to, &[128; 512]);
                voice.speak(&from, 1, &mut out);
                if frame > 10 * 60 {
                    (least, most) = (least.min(from.len()), most.max(from.len()));
                }
            }
            assert_eq!(lost, 0, "{device}: there is room for all");
            assert!(least > 600 && most < 2_400, "{device}: {least} to {most} wait");
        }
    }
}
