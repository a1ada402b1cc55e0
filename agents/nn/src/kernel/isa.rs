//! Instruction set for which the kernels run, chosen at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use pulp::{Arch, Simd, WithSimd};

/// Instruction set that the kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// x86-64 with AVX-512: 32 registers of 16 floats.
    Avx512,
    /// x86-64 with AVX2 and FMA: 16 registers of 8 floats.
    Avx2,
    /// 64-bit ARM: 32 registers of 4 floats.
    Neon,
    /// Plain Rust for any CPU: one float at a time, fused multiply-adds in software where the CPU has none.
    Portable,
}

impl Isa {
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx2, Self::Neon, Self::Portable];

    /// Instruction sets that this CPU has, the fastest first.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|isa| isa.arch().is_some()).collect()
    }

    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Neon => "neon",
            Self::Portable => "portable",
        }
    }

    fn arch(self) -> Option<Arch> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            Self::Portable => Some(Arch::Scalar),
            #[allow(unreachable_patterns)] // those of other architectures
            _ => None,
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Isa {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let unknown = || format!("no instruction set {name}: this CPU has {}", names(&Self::available()));
        Self::ALL.into_iter().find(|isa| isa.name() == name).ok_or_else(unknown)
    }
}

fn names(list: &[Isa]) -> String {
    list.iter().map(|isa| isa.name()).collect::<Vec<_>>().join(", ")
}

static CHOSEN: OnceLock<(Isa, Arch)> = OnceLock::new();

#[cfg(test)]
thread_local! {
    /// Instruction set of the kernels in threads of [`on`].
    static OF_THREAD: std::cell::Cell<Option<(Isa, Arch)>> = const { std::cell::Cell::new(None) };
}

/// Runs `work` in `threads` threads of its own whose kernels use `isa`: a process chooses once, and tests compare all.
#[cfg(test)]
pub(super) fn on<R: Send>(isa: Isa, threads: usize, work: impl FnOnce() -> R + Send) -> R {
    let arch = isa.arch().expect("this CPU has it");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    pool.start_handler(move |_| OF_THREAD.set(Some((isa, arch)))).build().unwrap().install(work)
}

fn chosen() -> (Isa, Arch) {
    #[cfg(test)]
    if let Some(chosen) = OF_THREAD.get() {
        return chosen;
    }
    *CHOSEN.get_or_init(|| {
        let best = Isa::ALL.into_iter().find_map(|isa| Some((isa, isa.arch()?)));
        best.expect("every CPU has the portable one")
    })
}

/// Instruction set in use: the one that [`choose_isa`] set, else the fastest of this CPU. Results of `f32` kernels do
/// not depend on it.
pub fn isa() -> Isa {
    chosen().0
}

/// Makes every kernel of this process use `isa`. The choice is made once, before any kernel has run.
///
/// # Errors
/// A line for the user if this CPU lacks it, or another one is in use already.
pub fn choose_isa(isa: Isa) -> Result<(), String> {
    let Some(arch) = isa.arch() else {
        return Err(format!("this CPU has no {isa}: it has {}", names(&Isa::available())));
    };
    let (used, _) = CHOSEN.get_or_init(|| (isa, arch));
    if *used == isa { Ok(()) } else { Err(format!("kernels have run on {used} already: too late for {isa}")) }
}

/// Runs `work` compiled for the instruction set in use.
#[inline]
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    chosen().1.dispatch(work)
}

/// Runs a loop over plain slices, compiled for the instruction set in use. Rust contracts no products to fused ones, so
/// that the bits are the same on all.
pub(crate) fn vectorised<F: FnOnce()>(work: F) {
    dispatch(Vectorised(work));
}

struct Vectorised<F>(F);

impl<F: FnOnce()> WithSimd for Vectorised<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        (self.0)();
    }
}
