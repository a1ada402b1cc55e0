//! The device that plays the sound of games; the only file that knows of one.

use anyhow::{Context, anyhow};
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{
    Device, ErrorKind, FromSample, I24, SampleFormat, SizedSample, Stream, StreamConfig, SupportedStreamConfig,
};
use crossbeam_channel::{Receiver, Sender, bounded};

use super::voice::Voice;

/// Most samples between game and device, an eighth of a second of Atari. [`WAITING`] of them are to wait, a twentieth:
/// longer than a frame of the window.
const ROOM: usize = 4_096;
const WAITING: usize = 1_536;

/// A device that plays sound.
pub(super) struct Speaker {
    samples: Sender<u8>,
    failed: Receiver<String>,
    /// The stream, which plays until it is dropped.
    _stream: Stream,
}

/// Finds the system's output device and its format.
///
/// # Errors
/// If there is none, or it does not tell its format.
pub(crate) fn device() -> anyhow::Result<(Device, SupportedStreamConfig)> {
    // ALSA says what it finds amiss in its files on stderr, line by line, where nothing takes it: the error is enough.
    #[cfg(target_os = "linux")]
    let _taken = alsa::Output::local_error_handler();
    let device = cpal::default_host().default_output_device().context("there is no device")?;
    let config = device.default_output_config()?;
    Ok((device, config))
}

impl Speaker {
    /// Opens the system's device for a game with `rate` samples per second.
    ///
    /// # Errors
    /// If there is none, or it cannot be opened.
    pub(super) fn open(rate: u32) -> anyhow::Result<Self> {
        let (device, config) = device()?;
        let (samples, played) = bounded(ROOM);
        let (fail, failed) = bounded(1);
        let source = Source { samples: played, voice: Voice::new(rate, config.sample_rate(), WAITING) };
        let stream = match config.sample_format() {
            SampleFormat::F32 => stream::<f32>(&device, config.into(), source, fail),
            SampleFormat::F64 => stream::<f64>(&device, config.into(), source, fail),
            SampleFormat::I32 => stream::<i32>(&device, config.into(), source, fail),
            SampleFormat::I24 => stream::<I24>(&device, config.into(), source, fail),
            SampleFormat::I16 => stream::<i16>(&device, config.into(), source, fail),
            SampleFormat::U16 => stream::<u16>(&device, config.into(), source, fail),
            SampleFormat::U8 => stream::<u8>(&device, config.into(), source, fail),
            other => Err(anyhow!("the device takes samples as {other}, which are not made here")),
        }?;
        stream.play()?;
        Ok(Self { samples, failed, _stream: stream })
    }

    /// Queues samples; those beyond [`ROOM`] are dropped.
    pub(super) fn play(&self, samples: &[u8]) {
        samples.iter().try_for_each(|&sample| self.samples.try_send(sample)).ok();
    }

    /// Why the device no longer plays, if it has failed.
    pub(super) fn failed(&self) -> Option<String> {
        self.failed.try_recv().ok()
    }
}

/// What the device's thread owns.
struct Source {
    samples: Receiver<u8>,
    voice: Voice,
}

fn stream<T: SizedSample + FromSample<f32>>(
    device: &Device,
    config: StreamConfig,
    Source { samples, mut voice }: Source,
    fail: Sender<String>,
) -> anyhow::Result<Stream> {
    let channels = usize::from(config.channels);
    let mut levels = Vec::new();
    let speak = move |out: &mut [T], _: &_| {
        levels.resize(out.len(), 0.0); // grows once, to what the device asks for
        voice.speak(&samples, channels, &mut levels);
        out.iter_mut().zip(&levels).for_each(|(out, &level)| *out = T::from_sample_(level));
    };
    let fails = move |error: cpal::Error| {
        // All else passes: a gap, another device, a delay that PulseAudio cannot tell yet (alsa-plugins, issue 65).
        if matches!(error.kind(), ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated) {
            let _ = fail.try_send(error.to_string());
        }
    };
    Ok(device.build_output_stream(config, speak, fails, None)?)
}
