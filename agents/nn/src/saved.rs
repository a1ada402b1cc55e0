//! Parameters and buffers in the safetensors format, which other programs read; those of another network are refused.

use std::io::{Read, Write};

use rl_core::{Error, Result, Saved};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use crate::params::{Params, le_bytes, set, with_values};

impl Saved for Params {
    fn save(&self, out: &mut dyn Write) -> Result<()> {
        let mut bytes = Vec::new();
        for (name, var) in self.kept() {
            bytes.push((name, var.dims().to_vec(), with_values(var, le_bytes).map_err(crate::tensor)?));
        }
        let views = bytes
            .iter()
            .map(|(name, dims, data)| Ok((*name, TensorView::new(Dtype::F32, dims.clone(), data)?)))
            .collect::<std::result::Result<Vec<_>, safetensors::SafeTensorError>>()
            .map_err(|e| state(e.to_string()))?;
        out.write_all(&safetensors::serialize(views, None).map_err(|e| state(e.to_string()))?)?;
        Ok(())
    }

    /// Reads parameters and buffers from safetensors; checks every name, shape and type before any value changes.
    fn load(&mut self, from: &mut dyn Read) -> Result<()> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let file = SafeTensors::deserialize(&bytes).map_err(|e| state(e.to_string()))?;
        let mut held: Vec<&str> = file.names();
        held.sort_unstable();
        let mut all = Vec::new();
        for (name, var) in self.kept() {
            let Ok(view) = file.tensor(name) else {
                return Err(state(format!("holds [{}], expected {name}", held.join(", "))));
            };
            if view.dtype() != Dtype::F32 || view.shape() != var.dims() {
                let (dtype, shape) = (view.dtype(), view.shape());
                return Err(state(format!("{name} is {dtype:?} {shape:?}, expected F32 {:?}", var.dims())));
            }
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().expect("4 bytes")));
            all.push(values.collect::<Vec<f32>>());
            held.retain(|n| *n != name);
        }
        if let Some(foreign) = held.first() {
            return Err(state(format!("holds {foreign}, which this network does not have")));
        }
        self.kept().zip(&all).try_for_each(|((_, var), values)| set(var, values)).map_err(crate::tensor)
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
}
