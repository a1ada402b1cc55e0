//! Insertions into three functions of the emulator: two that half its time goes through, which compute what they did, and one
//! that takes most of a console's start for tables that nothing reads.
//!
//! The sources are not edited: copies with the insertions are written to the build's output folder.

use std::fs;
use std::path::Path;

/// A function of the emulator, and what goes in behind which of its lines.
struct Function {
    source: &'static str,
    begin: &'static str,
    insertions: &'static [Insertion],
}

struct Insertion {
    /// Lines that stand once in the function.
    behind: &'static str,
    file: &'static str,
}

const FUNCTIONS: [Function; 3] = [
    Function {
        source: "emucore/TIA.cxx",
        begin: "inline void TIA::updateFrameScanline(uint32_t clocksToUpdate, uint32_t hpos)\n{\n",
        insertions: &[
            Insertion { behind: "uint32_t hpos)\n{\n", file: "pixels_begin.inc" },
            Insertion { behind: "      default:\n      {\n", file: "pixels_all.inc" },
            Insertion { behind: "  myFramePointer = ending;\n", file: "pixels_end.inc" },
        ],
    },
    Function {
        source: "emucore/M6502Low.cxx",
        begin: "bool M6502Low::execute(uint32_t number)\n{\n",
        insertions: &[Insertion { behind: "uint32_t number)\n{\n", file: "processor.inc" }],
    },
    Function {
        source: "environment/phosphor_blend.cpp",
        begin: "void PhosphorBlend::makeAveragePalette() {\n",
        insertions: &[Insertion { behind: "makeAveragePalette() {\n", file: "no_averages.inc" }],
    },
];

/// Files of the insertions, for cargo to watch.
pub(crate) fn files() -> impl Iterator<Item = String> {
    FUNCTIONS.iter().flat_map(|function| function.insertions).map(|insertion| format!("src/faster/{}", insertion.file))
}

/// Writes the copies below `out` and names each in place of its original in `includes`.
pub(crate) fn write(root: &Path, out: &Path, includes: &str) -> Result<String, String> {
    let mut includes = includes.to_owned();
    for function in &FUNCTIONS {
        let original = root.join("src/ale").join(function.source);
        let text = fs::read_to_string(&original).map_err(|e| format!("{}: {e}", original.display()))?;
        let text = function.insert(&text).map_err(|what| format!("{}: {what}", original.display()))?;
        let name = format!("faster_{}", function.source.rsplit('/').next().unwrap_or(function.source));
        let copy = out.join(&name);
        fs::write(&copy, text).map_err(|e| format!("{}: {e}", copy.display()))?;
        includes = replace_once(&includes, &format!("ale/{}", function.source), &name)?;
    }
    Ok(includes)
}

impl Function {
    fn insert(&self, text: &str) -> Result<String, String> {
        let (before, rest) = split_once(text, self.begin)?;
        let end = rest.find("\n}\n").ok_or("the function has no end")?;
        let (body, after) = rest.split_at(end);
        let mut function = format!("{}{body}", self.begin);
        for insertion in self.insertions {
            let line = format!("{}#include \"faster/{}\"\n", insertion.behind, insertion.file);
            function = replace_once(&format!("{function}\n"), insertion.behind, &line)?;
        }
        Ok(format!("{before}{function}{after}"))
    }
}

fn replace_once(text: &str, from: &str, to: &str) -> Result<String, String> {
    let (before, after) = split_once(text, from)?;
    Ok(format!("{before}{to}{after}"))
}

fn split_once<'a>(text: &'a str, at: &str) -> Result<(&'a str, &'a str), String> {
    match text.split_once(at) {
        Some((before, after)) if !after.contains(at) => Ok((before, after)),
        _ => Err(format!("expected {at:?} once: not the sources of ALE 0.12.1")),
    }
}
