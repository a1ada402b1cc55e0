//! Archives of assets, and the lists of hashes beside them: nothing is written outside of the given directory, and no more
//! than an archive may hold.
#![no_main]

use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use rl_assets::fuzzing::{MOST, check, unpack};
use rl_fuzz::scratch;

/// Gives every header of a tar the sum that it should have.
fn seal(tar: &mut [u8]) {
    let (blocks, _) = tar.as_chunks_mut::<512>();
    for block in blocks.iter_mut().filter(|block| &block[257..262] == b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

fn size(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |m| m.len()) })
        .sum()
}

fuzz_target!(|data: &[u8]| {
    let Some((&[kind], content)) = data.split_first_chunk() else { return };
    let dir = scratch();
    let (file, into) = (dir.path().join("archive.tar.gz"), dir.path().join("unpacked"));
    match kind % 3 {
        0 => std::fs::write(&file, content).expect("it can be written"),
        1 => {
            let mut tar = content.to_vec();
            seal(&mut tar);
            let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
            gzip.write_all(&tar).expect("memory can be written");
            std::fs::write(&file, gzip.finish().expect("memory can be written")).expect("it can be written");
        }
        _ => {
            std::fs::create_dir(&into).expect("it can be made");
            std::fs::write(into.join(".sha256sums"), content).expect("it can be written");
            let _ = check(&into);
            return;
        }
    }
    let _ = unpack(&file, &into);
    let _ = std::fs::remove_file(&file);
    let names: Vec<_> = std::fs::read_dir(dir.path()).expect("it is there").flatten().map(|e| e.file_name()).collect();
    assert!(names.iter().all(|name| name == "unpacked"), "{names:?}");
    assert!(size(&into) <= MOST);
});
