//! Parameters, buffers and single arrays in the safetensors format, which other programs read; those of another network
//! are refused.

use std::io::{Read, Write};

use rl_core::{Error, Result, Saved};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::params::{Params, le_bytes, set, with_values};

impl Saved for Params {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let bytes = self.kept().map(|(name, var)| Ok((name, var.dims().to_vec(), with_values(var, le_bytes)?)));
        write(&bytes.collect::<candle_core::Result<Vec<_>>>().map_err(crate::tensor)?, out)
    }

    /// Reads parameters and buffers from safetensors; checks every name, shape and type before any value changes.
    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let all = read(self.kept().map(|(name, var)| (name, var.dims())), from)?;
        self.kept().zip(&all).try_for_each(|((_, var), values)| set(var, values)).map_err(crate::tensor)
    }
}

/// Writes `values` of the shape `dims` as safetensors with one tensor: the weights of a learner that has no network.
///
/// # Errors
/// If writing fails.
///
/// # Panics
/// If `dims` do not multiply to the number of values.
pub fn save_array(name: &str, dims: &[usize], values: &[f32], out: &mut dyn Write) -> Result<()> {
    assert_eq!(dims.iter().product::<usize>(), values.len(), "{name}: {dims:?}");
    write(&[(name, dims.to_vec(), le_bytes(values))], out)
}

/// Reads what [`save_array`] wrote.
///
/// # Errors
/// If reading fails, or the file holds anything but one tensor of f32 of this name and shape.
pub fn load_array(name: &str, dims: &[usize], from: &mut dyn Read) -> Result<Vec<f32>> {
    Ok(read([(name, dims)], from)?.remove(0))
}

fn write(tensors: &[(&str, Vec<usize>, Vec<u8>)], out: &mut dyn Write) -> Result<()> {
    let views = tensors
        .iter()
        .map(|(name, dims, data)| Ok((*name, TensorView::new(Dtype::F32, dims.clone(), data)?)))
        .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
        .map_err(|e| state(e.to_string()))?;
    out.write_all(&safetensors::serialize(views, None).map_err(|e| state(e.to_string()))?)?;
    Ok(())
}

/// Values of the tensors `expected`, which must be all that there are, in their order.
fn read<'a>(expected: impl IntoIterator<Item = (&'a str, &'a [usize])>, from: &mut dyn Read) -> Result<Vec<Vec<f32>>> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    let file = SafeTensors::deserialize(&bytes).map_err(|e| state(e.to_string()))?;
    let mut held: Vec<&str> = file.names();
    held.sort_unstable();
    let mut all = Vec::new();
    for (name, dims) in expected {
        let Ok(view) = file.tensor(name) else {
            return Err(state(format!("holds [{}], expected {name}", held.join(", "))));
        };
        if view.dtype() != Dtype::F32 || view.shape() != dims {
            let (dtype, shape) = (view.dtype(), view.shape());
            return Err(state(format!("{name} is {dtype:?} {shape:?}, expected F32 {dims:?}")));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
        all.push(values.collect());
        held.retain(|n| *n != name);
    }
    match held.first() {
        Some(foreign) => Err(state(format!("holds {foreign}, which this network does not have"))),
        None => Ok(all),
    }
}

fn state(message: String) -> Error {
    Error::State { part: "parameters".to_owned(), message }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_core::{Rng, Stream};

    use super::*;
    use crate::Init;

    fn params(entries: &[(&str, &[usize])]) -> Params {
        let mut params = Params::new(&Device::Cpu, Rng::new(entries.len() as u64, Stream::Init));
        for (name, shape) in entries {
            params.root().var(name, shape, Init::torch(1)).unwrap();
        }
        params
    }

    fn saved(params: &Params) -> Vec<u8> {
        let mut out = Vec::new();
        params.save(&mut out).unwrap();
        out
    }

    #[test]
    fn every_bit_returns() {
        let a = params(&[("z", &[2, 3]), ("a", &[4])]);
        let mut b = params(&[("z", &[2, 3]), ("a", &[4])]);
        b.write(&[f32::MIN_POSITIVE / 2.0; 10]).unwrap();
        b.load(&mut saved(&a).as_slice()).unwrap();
        assert_eq!(saved(&a), saved(&b));
    }

    #[test]
    fn buffers_return_with_the_parameters() {
        let make = |value| {
            let mut params = params(&[("a", &[2, 3])]);
            params.root().buffer("mean", &[4], value).unwrap();
            params
        };
        let (a, mut b) = (make(0.25), make(0.0));
        b.load(&mut saved(&a).as_slice()).unwrap();
        assert_eq!(saved(&a), saved(&b));
        assert!(params(&[("a", &[2, 3])]).load(&mut saved(&a).as_slice()).is_err(), "a foreign buffer is refused");
    }

    #[test]
    fn foreign_names_and_shapes_are_refused_with_both_named() {
        let bytes = saved(&params(&[("a", &[2, 3])]));
        let refused = |entries: &[(&str, &[usize])], bytes: &[u8]| {
            let mut params = params(entries);
            let before = saved(&params);
            let error = params.load(&mut &bytes[..]).unwrap_err().to_string();
            assert_eq!(saved(&params), before, "a refused load changes nothing");
            error
        };
        assert_eq!(refused(&[("b", &[2, 3])], &bytes), "saved state of parameters: holds [a], expected b");
        assert_eq!(
            refused(&[("a", &[3, 2])], &bytes),
            "saved state of parameters: a is F32 [2, 3], expected F32 [3, 2]"
        );
        let two = saved(&params(&[("a", &[2, 3]), ("c", &[1])]));
        assert!(refused(&[("a", &[2, 3])], &two).contains("holds c, which"));
        assert!(refused(&[("a", &[2, 3])], &bytes[..bytes.len() - 1]).starts_with("saved state of parameters"));
    }

    #[test]
    fn an_array_is_a_file_with_one_tensor() {
        let (mut out, values) = (Vec::new(), [1.5, -0.0, f32::MIN_POSITIVE / 2.0, 4.0, 5.0, 6.0]);
        save_array("a", &[2, 3], &values, &mut out).unwrap();
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&load_array("a", &[2, 3], &mut out.as_slice()).unwrap()), bits(&values));
        params(&[("a", &[2, 3])]).load(&mut out.as_slice()).unwrap();
        for (name, dims) in [("b", &[2, 3][..]), ("a", &[3, 2]), ("a", &[6])] {
            assert!(load_array(name, dims, &mut out.as_slice()).is_err(), "{name} {dims:?}");
        }
        let two = saved(&params(&[("a", &[2, 3]), ("c", &[1])]));
        assert!(load_array("a", &[2, 3], &mut two.as_slice()).is_err(), "more than it");
    }
}
