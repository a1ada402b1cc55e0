//! The engine's shared memory, read and written by fields whose places are known.
//!
//! The engine writes while it works and rests between its answer and our next message. All accesses are made in that rest
//! and ordered by the lock of the queue, which no compiler moves them across.

use std::fs::File;
use std::mem::MaybeUninit;

use bytemuck::{AnyBitPattern, NoUninit};
use memmap2::{MmapOptions, MmapRaw};

use crate::layout::{Field, REGIONS, VERSION, game, input};
use crate::{Error, Result, error::doing};

/// A region of the engine's shared memory that holds one buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Region {
    Screen = 2,
    Depth = 3,
    Labels = 4,
    Automap = 5,
    Audio = 6,
}

/// The memory of one engine, mapped as a whole.
#[derive(Debug)]
pub(crate) struct SharedMemory {
    map: MmapRaw,
    /// Where the region of inputs begins.
    input: usize,
    /// Beginning and length of every region, in bytes, as they were when it was opened.
    regions: [(usize, usize); REGIONS],
}

impl SharedMemory {
    /// Maps the shared memory `name`, which the engine has made by its first answer.
    ///
    /// # Errors
    /// If the memory cannot be mapped, the engine is of another version, or regions are not where they should be.
    pub(crate) fn open(name: &str) -> Result<Self> {
        use rustix::shm;
        let refuse = |found: String| Error::Version { found };
        let fd = shm::open(name, shm::OFlags::RDWR, shm::Mode::empty())
            .map_err(doing(format!("opening the engine's memory {name}")))?;
        let file = File::from(fd);
        let len = file.metadata().map_err(doing("asking for the size of the engine's memory"))?.len() as usize;
        if len < game::SIZE + input::SIZE {
            return Err(refuse(format!("unknown, with a memory of {len} bytes")));
        }
        let map = MmapOptions::new().len(len).map_raw(&file).map_err(doing("mapping the engine's memory"))?;
        let mut memory = Self { map, input: 0, regions: [(0, 0); REGIONS] };
        let version = memory.get(game::VERSION);
        if version != VERSION {
            return Err(refuse(text(&memory.get(game::VERSION_STR))));
        }
        for n in 0..REGIONS {
            let region = (game::SM_REGION_OFFSET.element(n), game::SM_REGION_SIZE.element(n));
            let (offset, size) = (memory.get(region.0) as usize, memory.get(region.1) as usize);
            if offset.checked_add(size).is_none_or(|end| end > len) {
                return Err(refuse(format!("1.3.2, with region {n} outside of its memory")));
            }
            memory.regions[n] = (offset, size);
        }
        let sizes = (memory.regions[0], memory.regions[1].1, memory.get(game::SM_SIZE) as usize);
        if sizes != ((0, game::SIZE), input::SIZE, len) {
            return Err(refuse("1.3.2, with another layout".to_owned()));
        }
        memory.input = memory.regions[1].0;
        Ok(memory)
    }

    /// Reads a field of the game state, which the engine writes.
    pub(crate) fn get<T: AnyBitPattern>(&self, field: Field<T>) -> T {
        self.read(field.offset)
    }

    /// Reads a flag of the game state, which the engine writes.
    pub(crate) fn flag(&self, field: Field<u8>) -> bool {
        self.get(field) != 0
    }

    /// Reads a field of the input state.
    pub(crate) fn get_input<T: AnyBitPattern>(&self, field: Field<T>) -> T {
        self.read(self.input + field.offset)
    }

    /// Writes a field of the input state, which the engine reads.
    pub(crate) fn set_input<T: NoUninit>(&mut self, field: Field<T>, value: T) {
        let offset = self.input + field.offset;
        self.check::<T>(offset);
        // SAFETY: the place is inside of the map and aligned, by the check. Only `&mut self` writes, and the engine rests.
        unsafe { self.map.as_mut_ptr().add(offset).cast::<T>().write_volatile(value) }
    }

    /// Returns the number of bytes of a region; 0 where its buffer is not enabled.
    pub(crate) fn len(&self, region: Region) -> usize {
        self.regions[region as usize].1
    }

    /// Copies a region into `out`.
    ///
    /// # Panics
    /// If `out` has another length than the region.
    pub(crate) fn copy(&self, region: Region, out: &mut [u8]) {
        let (offset, size) = self.regions[region as usize];
        assert_eq!(out.len(), size, "bytes of the {region:?} buffer");
        // SAFETY: `open` has checked that the region ends inside of the map; `out` is ours, so that they do not overlap.
        unsafe { self.map.as_ptr().add(offset).copy_to_nonoverlapping(out.as_mut_ptr(), size) }
    }

    fn read<T: AnyBitPattern>(&self, offset: usize) -> T {
        self.check::<T>(offset);
        // Bytes are copied, also of what is wide: of a volatile read of 32 kB LLVM makes as many instructions.
        let mut value = MaybeUninit::<T>::uninit();
        // SAFETY: the place is inside of the map, by the check, and `value`, which they fill, is ours; any bytes are a `T`.
        unsafe {
            self.map.as_ptr().add(offset).copy_to_nonoverlapping(value.as_mut_ptr().cast(), size_of::<T>());
            value.assume_init()
        }
    }

    /// Refuses places outside of the map, and those that are not aligned: a map begins with a page.
    fn check<T>(&self, offset: usize) {
        let fits = offset.checked_add(size_of::<T>()).is_some_and(|end| end <= self.map.len());
        assert!(fits && offset.is_multiple_of(align_of::<T>()), "{} bytes at {offset}", size_of::<T>());
    }
}

/// Returns the text before the first zero byte.
pub(crate) fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
