//! What is noted of a machine and a build with what they made, and when two of them make the same bits.

use std::fs;

use rl_nn::Precision;

/// Name of the processor's model as Linux gives it, else the architecture.
pub(crate) fn cpu() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.trim().to_owned())
}

/// Instruction set that kernels use and, for bf16, after a comma what multiplies it.
pub(crate) fn isa(precision: Precision) -> String {
    let isa = rl_nn::isa().name();
    precision.unit().map_or_else(|| isa.to_owned(), |unit| format!("{isa}, {unit}"))
}

/// What stands between the instruction sets of a run that machines of several kinds have trained.
const AND: &str = " and ";

/// Whether two instruction sets, as [`isa`] names them, give the same bits: f32 is the same in all, bf16 depends on
/// what multiplies it.
pub(crate) fn same_bits(one: &str, other: &str) -> bool {
    fn unit(isa: &str) -> Option<&str> {
        Some(isa.split_once(", ")?.1)
    }
    unit(one) == unit(other)
}

/// The instruction sets that trained a run, as `run.json` has them, with `isa` among them.
pub(crate) fn with_isa(all: &str, isa: &str) -> String {
    if all.split(AND).any(|one| same_bits(one, isa)) { all.to_owned() } else { [all, isa].join(AND) }
}

/// Whether a run that was trained by `all` has the bits of `isa`.
pub(crate) fn all_same_bits(all: &str, isa: &str) -> bool {
    all.split(AND).all(|one| same_bits(one, isa))
}

/// Cargo features that this binary was built with.
pub(crate) fn features() -> Vec<String> {
    let all = [
        ("atari", cfg!(feature = "atari")),
        ("doom", cfg!(feature = "doom")),
        ("viewer", cfg!(feature = "viewer")),
        ("gamepad", cfg!(feature = "gamepad")),
        ("sound", cfg!(feature = "sound")),
        ("tui", cfg!(feature = "tui")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    all.iter().filter(|(_, on)| *on).map(|(name, _)| (*name).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_differ_by_what_multiplies_bf16_and_by_nothing_else() {
        let all = ["avx512", "avx2", "avx512, amx-bf16", "avx2, amx-bf16", "avx512, avx512-bf16"];
        for (one, other, same) in [(0, 1, true), (2, 3, true), (2, 4, false), (0, 2, false)] {
            assert_eq!(
                (same_bits(all[one], all[other]), same_bits(all[other], all[one])),
                (same, same),
                "{one} {other}"
            );
        }
        let both = with_isa(all[1], all[2]); // first without bf16, then on another machine
        assert_eq!(both, "avx2 and avx512, amx-bf16");
        assert_eq!(with_isa(&both, all[3]), both, "known already");
        assert!(!all_same_bits(&both, all[2]) && !all_same_bits(&both, all[0]) && all_same_bits(all[0], all[1]));
    }
}
