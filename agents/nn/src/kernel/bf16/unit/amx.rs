//! AMX: tiles of 16 lines in registers of their own.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count};
use std::sync::OnceLock;

use super::{BLOCK, LINE, PANEL, SIDE};

/// Eight tiles of 16 lines of 64 bytes: what `ldtilecfg` reads.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    line_bytes: [u16; 16],
    lines: [u8; 16],
}

static CONFIG: Config = {
    let (mut line_bytes, mut lines) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        (line_bytes[tile], lines[tile]) = (64, 16);
        tile += 1;
    }
    Config { palette: 1, start_row: 0, reserved: [0; 14], line_bytes, lines }
};

/// Bits of `edx` of leaf 7.
const BF16: u32 = 1 << 22;
const TILES: u32 = 1 << 24;

/// Whether the CPU has it and the kernel lets this process use it, which it asks for once.
pub(super) fn is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let has = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & (BF16 | TILES) == BF16 | TILES;
        has && ask()
    })
}

/// Asks the kernel for AMX by `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`: Linux keeps the 8 KiB of tiles
/// only for processes that asked.
fn ask() -> bool {
    const ARCH_PRCTL: i64 = 158;
    let result: i64;
    // SAFETY: the call takes two numbers, touches no memory of ours, and clobbers what the convention says.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => result, in("rdi") 0x1023_u64, in("rsi") 18_u64,
            out("rcx") _, out("r11") _, options(nostack));
    }
    result == 0
}

/// Arguments that the assembly reads from memory, for want of registers.
#[repr(C)]
struct Args {
    b: *const u32,
    column_groups: usize,
    panels: usize,
    add: usize,
}

/// [`multiply`](super::multiply()).
///
/// # Safety
/// The unit is there; `a` and `b` hold whole groups of `panels` panels, at least one, and `c` a block for every pair.
pub(super) unsafe fn multiply(a: &[u32], b: &[u32], panels: usize, c: &mut [f32], add: bool) {
    let args = Args { b: b.as_ptr(), column_groups: b.len() / (panels * PANEL), panels, add: usize::from(add) };
    debug_assert_eq!(a.len() / (panels * PANEL) * args.column_groups * BLOCK, c.len());
    // SAFETY: all tiles are 16 lines of 64 bytes. For every block the innermost loop reads `panels` panels of a group of
    // `a` and of a group of `b`, a panel being two tiles one after the other, so that it ends where the next group
    // begins; the four tiles of the block lie 64 bytes and 16 rows apart in rows of 128 bytes. Tiles are released at
    // the end, so that nothing of them outlives the block of assembly.
    unsafe {
        asm!(
            "ldtilecfg [{at}]",
            "2:", // a group of rows
            "mov {b}, [{args}]",
            "mov {columns}, [{args} + 8]",
            "3:", // a block
            "cmp qword ptr [{args} + 24], 0",
            "jne 4f",
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "jmp 5f",
            "4:",
            "tileloadd tmm0, [{c} + {row}]",
            "tileloadd tmm1, [{c} + {row} + 64]",
            "tileloadd tmm2, [{c} + {row} + 2048]",
            "tileloadd tmm3, [{c} + {row} + 2112]",
            "5:",
            "mov {at}, {a}",
            "mov {left}, [{args} + 16]",
            "6:", // a panel
            "tileloadd tmm4, [{at} + {line}]",
            "tileloadd tmm6, [{b} + {line}]",
            "tileloadd tmm7, [{b} + {line} + 1024]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tileloadd tmm5, [{at} + {line} + 1024]",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {at}, 2048",
            "add {b}, 2048",
            "dec {left}",
            "jnz 6b",
            "tilestored [{c} + {row}], tmm0",
            "tilestored [{c} + {row} + 64], tmm1",
            "tilestored [{c} + {row} + 2048], tmm2",
            "tilestored [{c} + {row} + 2112], tmm3",
            "add {c}, 4096",
            "dec {columns}",
            "jnz 3b",
            "mov {a}, {at}",
            "dec {rows}",
            "jnz 2b",
            "tilerelease",
            at = inout(reg) &raw const CONFIG => _,
            args = in(reg) &raw const args,
            a = inout(reg) a.as_ptr() => _,
            b = out(reg) _,
            c = inout(reg) c.as_mut_ptr() => _,
            rows = inout(reg) a.len() / (panels * PANEL) => _,
            columns = out(reg) _,
            left = out(reg) _,
            row = in(reg) SIDE * size_of::<f32>(),
            line = in(reg) LINE * size_of::<u32>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        );
    }
}
