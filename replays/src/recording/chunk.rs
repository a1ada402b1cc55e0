//! Chunks, of which a recording's file consists: kind, number, length, content, checksum.

use std::io::{ErrorKind, Read, Write};

use flate2::read::DeflateDecoder;

use super::RecordingError;

/// First bytes of every recording.
pub(super) const MAGIC: &[u8; 8] = b"rl-rec\r\n";

/// Largest content of a chunk in bytes, pictures apart.
const MOST: u32 = 1 << 21;

/// Largest content of a chunk of pictures in bytes: in each picture every pixel may be new.
const MOST_OF_PICTURES: u32 = 10 << 20;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    /// The manifest, as JSON: the first chunk.
    Manifest = 1,
    /// Beginning of an episode: its seed.
    Begin = 2,
    /// Steps of the current episode.
    Steps = 3,
    /// End of the current episode: its outcome.
    End = 4,
    /// End of the recording: the number of episodes.
    Close = 5,
    /// Pictures of the current episode.
    Pictures = 6,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let known = [Self::Manifest, Self::Begin, Self::Steps, Self::End, Self::Close, Self::Pictures];
        known.into_iter().find(|kind| *kind as u8 == byte)
    }

    fn most(self) -> u32 {
        if self == Self::Pictures { MOST_OF_PICTURES } else { MOST }
    }
}

/// Writes chunks one after the other.
#[derive(Debug)]
pub(super) struct Chunks<W> {
    out: W,
    number: u32,
}

impl<W: Write> Chunks<W> {
    /// Begins a file by writing the magic number.
    pub(super) fn begin(mut out: W) -> std::io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self { out, number: 0 })
    }

    /// Writes a chunk in one call of the writer.
    ///
    /// # Errors
    /// If writing fails, or the content is longer than two mebibytes, or ten of pictures, which no reader takes.
    pub(super) fn write(&mut self, kind: Kind, content: &[u8]) -> std::io::Result<()> {
        let length = u32::try_from(content.len()).ok().filter(|length| *length <= kind.most()).ok_or_else(|| {
            let (bytes, most) = (content.len(), kind.most());
            std::io::Error::new(
                ErrorKind::InvalidInput,
                format!("a chunk of {bytes} bytes: readers take {most} at most"),
            )
        })?;
        let mut bytes = vec![kind as u8];
        bytes.extend(self.number.to_le_bytes());
        bytes.extend(length.to_le_bytes());
        bytes.extend(content);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        self.number += 1;
        self.out.write_all(&bytes)
    }

    /// Flushes and returns the writer.
    pub(super) fn into_inner(mut self) -> std::io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }
}

/// A chunk that was read and whose checksum is right.
#[derive(Debug)]
pub(super) struct Chunk {
    /// What the chunk holds.
    pub(super) kind: Kind,
    /// Bytes of the content.
    pub(super) content: Vec<u8>,
    /// Byte of the file at which the chunk begins.
    pub(super) at: u64,
}

/// Inflates deflated bytes; `None` if they are invalid or hold more than `most` bytes, of which no more are unpacked.
pub(super) fn inflate(deflated: impl Read, most: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    DeflateDecoder::new(deflated).take(most as u64 + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() <= most).then_some(bytes)
}

/// Reads chunks one after the other.
#[derive(Debug)]
pub(super) struct Reader<R> {
    from: R,
    number: u32,
    at: u64,
}

impl<R: Read> Reader<R> {
    /// Begins a file by reading the magic number.
    ///
    /// # Errors
    /// If the file begins otherwise, or reading fails.
    pub(super) fn begin(mut from: R) -> Result<Self, RecordingError> {
        let mut magic = Vec::new();
        from.by_ref().take(MAGIC.len() as u64).read_to_end(&mut magic)?;
        if magic != MAGIC {
            return Err(RecordingError::Foreign);
        }
        Ok(Self { from, number: 0, at: MAGIC.len() as u64 })
    }

    /// Reads the next chunk; `None` where the file ends, also in the middle of a chunk.
    ///
    /// # Errors
    /// If the chunk is damaged, out of order or too long, or reading fails.
    pub(super) fn next(&mut self) -> Result<Option<Chunk>, RecordingError> {
        let at = self.at;
        let damaged = |what| RecordingError::Damaged { at, what };
        let mut head = [0; 9];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let number = |from: &[u8]| u32::from_le_bytes(from.try_into().expect("four bytes"));
        let length = number(&head[5..9]);
        if length > Kind::of(head[0]).map_or(MOST, Kind::most) {
            return Err(damaged("a chunk is longer than any that is written"));
        }
        // As much is allocated as there is.
        let mut content = Vec::new();
        self.from.by_ref().take(length.into()).read_to_end(&mut content)?;
        let mut crc = [0; 4];
        if content.len() < length as usize || !self.fill(&mut crc)? {
            return Ok(None);
        }
        let mut hash = crc32fast::Hasher::new();
        hash.update(&head);
        hash.update(&content);
        if hash.finalize() != u32::from_le_bytes(crc) {
            return Err(damaged("its checksum does not match"));
        }
        if number(&head[1..5]) != self.number {
            return Err(damaged("a chunk is missing before it"));
        }
        let kind = Kind::of(head[0]).ok_or(damaged("a chunk of an unknown kind"))?;
        self.number += 1;
        self.at += head.len() as u64 + u64::from(length) + crc.len() as u64;
        Ok(Some(Chunk { kind, content, at }))
    }

    /// Checks that the file ends here.
    ///
    /// # Errors
    /// If bytes are left, or reading fails.
    pub(super) fn end(&mut self) -> Result<(), RecordingError> {
        if self.fill(&mut [0])? {
            return Err(RecordingError::Damaged { at: self.at, what: "something follows its end" });
        }
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<bool, RecordingError> {
        match self.from.read_exact(buffer) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => Ok(false),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    #[test]
    fn of_what_holds_too_much_only_so_much_is_unpacked() {
        let mut bomb = DeflateEncoder::new(Vec::new(), Compression::fast());
        bomb.write_all(&vec![0; 64 << 20]).unwrap();
        let bomb = bomb.finish().unwrap();
        let mut from = &bomb[..];
        assert!(inflate(&mut from, 1000).is_none());
        assert!(from.len() > bomb.len() / 2, "{} of {} bytes were not read", from.len(), bomb.len());
        assert_eq!(inflate(&bomb[..], 64 << 20).map(|bytes| bytes.len()), Some(64 << 20));
    }
}
