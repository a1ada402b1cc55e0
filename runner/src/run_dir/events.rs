//! TensorBoard's event files: TFRecord frames around protobuf events. One file per run, its step axis in emulator
//! frames.
//!
//! Source: tensorflow `core/lib/io/record_writer.h`, `core/lib/hash/crc32c.h`, `core/util/event.proto`,
//! `core/framework/summary.proto`. Field numbers below are theirs.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

/// Name of the event file; TensorBoard recognises `tfevents` in it.
pub(crate) const FILE: &str = "events.out.tfevents.rl-run";

/// Bytes of a record around its content: length and checksum before it, the content's checksum after it.
const FRAME: usize = 8 + 4 + 4;

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// The time in seconds since 1970, which TensorBoard shows beside the step.
pub(crate) fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Bytes of the record that an event file begins with.
pub(crate) fn begin(wall_time: f64) -> Vec<u8> {
    record(&Event { wall_time, step: 0, file_version: Some("brain.Event:2".to_owned()), summary: None })
}

/// Bytes of a record with some scalars at `frames`.
pub(crate) fn scalars(wall_time: f64, frames: u64, scalars: &[(&str, f64)]) -> Vec<u8> {
    let value = |&(tag, value): &(&str, f64)| Scalar { tag: tag.to_owned(), simple_value: Some(value as f32) };
    let summary = Some(Summary { value: scalars.iter().map(value).collect() });
    record(&Event { wall_time, step: i64::try_from(frames).unwrap_or(i64::MAX), file_version: None, summary })
}

/// Bytes that the whole records at or before `frames` take at the front of `bytes`.
pub(crate) fn until(bytes: &[u8], frames: u64) -> u64 {
    let rest = records(bytes).take_while(|(event, _)| u64::try_from(event.step).is_ok_and(|step| step <= frames));
    rest.map(|(_, length)| length as u64).sum()
}

/// Steps of all whole records.
#[cfg(test)]
pub(crate) fn steps(bytes: &[u8]) -> Vec<i64> {
    records(bytes).map(|(event, _)| event.step).collect()
}

/// Events with the lengths of their records, up to the first that is torn or damaged.
fn records(mut bytes: &[u8]) -> impl Iterator<Item = (Event, usize)> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        let size = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        if masked(length) != u32::from_le_bytes(*sum) || rest.len() < size.checked_add(4)? {
            return None;
        }
        let (content, rest) = rest.split_at(size);
        let (sum, rest) = rest.split_first_chunk::<4>()?;
        if masked(content) != u32::from_le_bytes(*sum) {
            return None;
        }
        bytes = rest;
        Some((Event::decode(content).ok()?, size + FRAME))
    })
}

fn record(event: &Event) -> Vec<u8> {
    let content = event.encode_to_vec();
    let length = (content.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(content.len() + FRAME);
    out.extend_from_slice(&length);
    out.extend_from_slice(&masked(&length).to_le_bytes());
    out.extend_from_slice(&content);
    out.extend_from_slice(&masked(&content).to_le_bytes());
    out
}

/// The checksum of a record, rotated and shifted so that a file of files does not sum itself.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8) // kMaskDelta
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_record_is_byte_for_byte_tensorflows() {
        // Written by TensorFlow's format for wall time 0: 8 + 4 bytes of head, `1a 0d` and the version, 4 bytes of sum.
        let bytes = begin(0.0);
        assert_eq!(bytes[..8], 15u64.to_le_bytes());
        assert_eq!(bytes[12..27], *b"\x1a\x0dbrain.Event:2");
        assert_eq!(bytes.len(), 15 + FRAME);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283); // check value of CRC-32C (RFC 3720)
    }

    #[test]
    fn a_damaged_record_ends_the_file() {
        let mut bytes = [begin(1.0), scalars(2.0, 4, &[("a", 0.25)]), scalars(3.0, 8, &[("a", 0.5)])].concat();
        assert_eq!(steps(&bytes), [0, 4, 8]);
        let last = bytes.len() - 6;
        bytes[last] ^= 1;
        assert_eq!(steps(&bytes), [0, 4]);
    }
}
