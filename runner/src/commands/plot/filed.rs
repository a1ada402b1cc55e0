//! Reads curves from a file in the form that `plot --json` writes: of other machines, of runs that are gone, of
//! publications.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use anyhow::bail;

use super::curves::{Axis, Band, Group};
use super::points::at;
use crate::console::number::grouped;
use crate::console::usage::usage;

/// Reads the curves of the file `path`, each cut at the end of the longest of `runs` in its environment, if there are any.
///
/// # Errors
/// If the file cannot be read or holds no curve, or one is along another axis, of another key, or begins after the end
/// of all runs; the message names the file.
pub(super) fn read(path: &Path, axis: Axis, key: &str, runs: &[Group]) -> anyhow::Result<Vec<Group>> {
    let told = |why: &dyn Display| usage(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|e| told(&e))?;
    let groups = parse(&text).map_err(|e| told(&format!("not curves as `rl-run plot --json` writes them: {e}")))?;
    if groups.is_empty() {
        bail!(told(&"holds no curve"));
    }
    let end = |env: &str| {
        let ends = runs.iter().filter(|run| run.env == env).filter_map(|run| run.x.last());
        ends.copied().reduce(f64::max).unwrap_or(f64::INFINITY)
    };
    let kept = groups.into_iter().map(|group| {
        check(&group, axis, key)?;
        let end = end(&group.env);
        until(group, end)
    });
    kept.collect::<Result<_, _>>().map_err(|e| told(&e))
}

fn parse(text: &str) -> Result<Vec<Group>, String> {
    let mut json = serde_json::Deserializer::from_str(text);
    let groups = serde_path_to_error::deserialize(&mut json).map_err(|e| e.to_string())?;
    json.end().map_err(|e| e.to_string())?;
    Ok(groups)
}

fn check(group: &Group, axis: Axis, key: &str) -> Result<(), String> {
    let Group { name, along, x, mean, low, high, iqm, .. } = group;
    if along != axis.name() {
        return Err(format!("`{name}` is along {along}, and not along {}", axis.name()));
    }
    if let Some(theirs) = group.key.as_ref().filter(|theirs| *theirs != key) {
        return Err(format!("`{name}` is of {theirs}, and not of {key}"));
    }
    let quartiles = iqm.iter().flat_map(|iqm| [&iqm.mean, &iqm.low, &iqm.high]);
    if x.is_empty() || [mean, low, high].into_iter().chain(quartiles).any(|values| values.len() != x.len()) {
        return Err(format!("the curve `{name}` wants as many values of x, mean, low and high, one at least"));
    }
    if !x.is_sorted() || x[0] < 0.0 {
        return Err(format!("`{name}` goes back along x, or begins below 0"));
    }
    Ok(())
}

/// Cuts a curve at `end`, where it gets a last point by interpolation.
fn until(group: Group, end: f64) -> Result<Group, String> {
    let Group { name, x, .. } = &group;
    let kept = x.partition_point(|&x| x <= end);
    if kept == x.len() {
        return Ok(group);
    }
    if kept == 0 {
        let [begin, end] = [x[0], end].map(grouped);
        return Err(format!("`{name}` begins at {begin} {}, where all runs have ended (at {end})", group.along));
    }
    let cut = |values: &[f64]| -> Vec<f64> {
        let curve: Vec<(f64, f64)> = x.iter().copied().zip(values.iter().copied()).collect();
        values[..kept].iter().copied().chain([at(&curve, end)]).collect()
    };
    let [mean, low, high] = [&group.mean, &group.low, &group.high].map(|values| cut(values));
    let x = x[..kept].iter().copied().chain([end]).collect();
    let iqm = group.iqm.as_ref().map(|iqm| {
        let [mean, low, high] = [&iqm.mean, &iqm.low, &iqm.high].map(|values| cut(values));
        Band { mean, low, high }
    });
    Ok(Group { x, mean, low, high, iqm, ..group })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(x: &[f64], mean: &[f64]) -> Group {
        let all = mean.to_vec();
        Group {
            name: "c".to_owned(),
            env: "cartpole".to_owned(),
            agent: "dqn".to_owned(),
            source: None,
            runs: Vec::new(),
            seeds: Vec::new(),
            along: "frames".to_owned(),
            key: Some("loss".to_owned()),
            x: x.to_vec(),
            mean: all.clone(),
            low: all.clone(),
            high: all,
            iqm: None,
        }
    }

    #[test]
    fn a_curve_ends_where_the_runs_do() {
        let all = curve(&[1.0, 3.0, 7.0], &[10.0, 30.0, 50.0]);
        assert_eq!(until(all.clone(), 5.0), Ok(curve(&[1.0, 3.0, 5.0], &[10.0, 30.0, 40.0])));
        assert_eq!(until(all.clone(), 7.0), Ok(all.clone()));
        let band = |values: &[f64]| Band { mean: values.to_vec(), low: values.to_vec(), high: values.to_vec() };
        let quartiles = Group { iqm: Some(band(&[1.0, 3.0, 5.0])), ..all.clone() };
        assert_eq!(until(quartiles, 5.0).unwrap().iqm, Some(band(&[1.0, 3.0, 4.0])));
        assert_eq!(until(all, 0.5), Err("`c` begins at 1 frames, where all runs have ended (at 0.5)".to_owned()));
    }

    #[test]
    fn short_times_are_told_apart() {
        let late = Group { along: "minutes".to_owned(), ..curve(&[0.036, 0.05], &[1.0, 1.0]) };
        let told = until(late, 0.028).unwrap_err();
        assert_eq!(told, "`c` begins at 0.036 minutes, where all runs have ended (at 0.028)");
    }

    #[test]
    fn what_is_no_curve_along_the_axis_is_told() {
        assert_eq!(check(&curve(&[1.0], &[1.0]), Axis::Frames, "loss"), Ok(()));
        let short = Band { mean: Vec::new(), low: Vec::new(), high: Vec::new() };
        for (bad, axis, said) in [
            (Group { iqm: Some(short), ..curve(&[1.0], &[1.0]) }, Axis::Frames, "as many values"),
            (curve(&[1.0], &[1.0]), Axis::Minutes, "along frames, and not along minutes"),
            (curve(&[], &[]), Axis::Frames, "as many values"),
            (curve(&[1.0, 2.0], &[1.0]), Axis::Frames, "as many values"),
            (curve(&[2.0, 1.0], &[1.0, 1.0]), Axis::Frames, "goes back"),
            (curve(&[-2.0, 1.0], &[1.0, 1.0]), Axis::Frames, "begins below 0"),
        ] {
            assert!(check(&bad, axis, "loss").unwrap_err().contains(said));
        }
        let published = Group { key: None, ..curve(&[1.0], &[1.0]) };
        assert_eq!(check(&published, Axis::Frames, "return_100"), Ok(()));
        let other = check(&curve(&[1.0], &[1.0]), Axis::Frames, "return_100").unwrap_err();
        assert_eq!(other, "`c` is of loss, and not of return_100");
    }
}
