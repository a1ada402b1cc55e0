//! Embedding of quantiles in an implicit quantile network: features times a cosine embedding of τ.
//! Source: Dabney et al. 2018, "Implicit quantile networks", eq. 4: `ReLU(Σ cos(π i τ) w_i + b)`, i from 0.
//!
//! The late place is not published. There features are multiplied by 1 + embedding: multiplied by the embedding alone,
//! which is small and random at first, they hardly let Kung Fu Master be learned (docs/kungfu-search.md).

use std::f64::consts::PI;

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use rl_nn::{Activation, HostForward, Linear, Scope};
use serde::{Deserialize, Serialize};

/// Place in the network where τ is mixed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mix {
    /// Before the last dense layer, as published: features times embedding. That layer, most of the network, is run for
    /// every τ.
    Before,
    /// After the last dense layer: features times 1 + embedding. Every τ costs little more than its embedding, which a
    /// CPU can afford.
    After,
}

impl Mix {
    /// Name of the layer that embeds τ: weights of one place say nothing at the other.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Before => "tau",
            Self::After => "tau_late",
        }
    }

    /// What is added to the embedding of τ before features are multiplied by it.
    fn base(self) -> f32 {
        match self {
            Self::Before => 0.0,
            Self::After => 1.0,
        }
    }
}

/// Layer that maps features `[B, width]` and probabilities τ `[B, N]` to `[B·N, width]`.
pub(crate) struct Embedding {
    cosines: usize,
    width: usize,
    base: f32,
    layer: Linear,
}

impl Embedding {
    /// Creates a layer for features of `width` numbers at place `mix`, which embeds τ by `cosines` cosines.
    pub(crate) fn new(scope: &mut Scope<'_>, cosines: usize, width: usize, mix: Mix) -> Result<Self> {
        let layer = Linear::new(scope, cosines, width, Activation::Relu)?;
        Ok(Self { cosines, width, base: mix.base(), layer })
    }

    /// Mixes `taus [B, N]` into features `[B, width]`: `[B·N, width]`, with the graph.
    pub(crate) fn forward(&self, features: &Tensor, taus: &[f32]) -> Result<Tensor> {
        let (rows, width) = features.dims2()?;
        let mut cosines = Vec::with_capacity(taus.len() * self.cosines);
        self.extend(taus, &mut cosines);
        let cosines = Tensor::from_vec(cosines, (taus.len(), self.cosines), features.device())?;
        let embedded = self.layer.forward(&cosines)?; // [B·N, width]
        if features.device().is_cpu() {
            return features.contiguous()?.apply_op2(&embedded, Product { base: self.base });
        }
        let embedded = embedded.affine(1.0, self.base.into())?;
        let embedded = embedded.reshape((rows, taus.len() / rows, width))?; // [B, N, width]
        embedded.broadcast_mul(&features.unsqueeze(1)?)?.reshape((taus.len(), width)) // [B·N, width]
    }

    /// Mixes `taus [B, N]` into features `[B, width]` on the host: `[B·N, width]` in `out`.
    pub(crate) fn run(&self, features: &[f32], taus: &[f32], out: &mut HostForward) -> Result<()> {
        self.extend(taus, out.begin());
        out.linear(&self.layer)?;
        multiply(features, out.values_mut(), self.width, self.base);
        Ok(())
    }

    /// Appends `[B·N, cosines]`: one cosine per τ, the others by cos((i + 1) x) = 2 cos x cos(i x) - cos((i - 1) x).
    fn extend(&self, taus: &[f32], out: &mut Vec<f32>) {
        for &tau in taus {
            let first = libm::cos(PI * f64::from(tau));
            let (mut before, mut now) = (first, 1.0); // cos is even: i = -1, i = 0
            for _ in 0..self.cosines {
                out.push(now as f32);
                (before, now) = (now, 2.0 * first * now - before);
            }
        }
    }
}

/// Multiplies `base` + rows `[B·N, width]` by the features `[B, width]`, N rows by each.
fn multiply(features: &[f32], rows: &mut [f32], width: usize, base: f32) {
    let each = rows.len() / features.len().max(1) * width;
    for (features, rows) in features.chunks_exact(width).zip(rows.chunks_exact_mut(each)) {
        for row in rows.chunks_exact_mut(width) {
            row.iter_mut().zip(features).for_each(|(x, feature)| *x = (base + *x) * feature);
        }
    }
}

/// [`multiply`] in the graph: candle's own product of a broadcast goes through every element by its index.
struct Product {
    base: f32,
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "product of features and embedding"
    }

    fn cpu_fwd(
        &self,
        features: &CpuStorage,
        features_layout: &Layout,
        embedded: &CpuStorage,
        embedded_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(embedded, embedded_layout)?.to_vec();
        let (_, width) = features_layout.shape().dims2()?;
        multiply(slice(features, features_layout)?, &mut out, width, self.base);
        Ok((CpuStorage::F32(out), embedded_layout.shape().clone()))
    }

    fn bwd(
        &self,
        features: &Tensor,
        embedded: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let host = |x: &Tensor| x.flatten_all()?.to_vec1::<f32>();
        let (width, mut by_embedded, mut by_features) = (features.dim(1)?, host(g)?, vec![0.0; features.elem_count()]);
        let each = embedded.elem_count() / features.elem_count() * width;
        let held = host(embedded)?;
        let rows = by_embedded.chunks_exact(each).zip(held.chunks_exact(each));
        for (by, (g, embedded)) in by_features.chunks_exact_mut(width).zip(rows) {
            for (g, embedded) in g.chunks_exact(width).zip(embedded.chunks_exact(width)) {
                by.iter_mut().zip(g.iter().zip(embedded)).for_each(|(by, (g, x))| *by += g * (self.base + x));
            }
        }
        multiply(&host(features)?, &mut by_embedded, width, 0.0);
        let like = |values: Vec<f32>, x: &Tensor| Tensor::from_vec(values, x.dims(), x.device()).map(Some);
        Ok((like(by_features, features)?, like(by_embedded, embedded)?))
    }
}

/// The values of a contiguous tensor.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(all), Some((from, to))) => Ok(&all[from..to]),
        _ => candle_core::bail!("expected contiguous numbers, got {layout:?}"),
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use rl_core::{Rng, Stream};
    use rl_nn::Params;

    use super::*;

    #[test]
    fn the_recurrence_makes_cosines() {
        let mut params = Params::new(&Device::Cpu, Rng::new(1, Stream::Init));
        let embedding = Embedding::new(&mut params.layer("tau"), 64, 3, Mix::After).unwrap();
        let taus = [0.0, 0.123, 0.5, 0.999_999, 1.0];
        let mut out = Vec::new();
        embedding.extend(&taus, &mut out);
        for (&tau, row) in taus.iter().zip(out.chunks_exact(64)) {
            for (i, &cosine) in row.iter().enumerate() {
                let expected = (PI * i as f64 * f64::from(tau)).cos();
                assert!((f64::from(cosine) - expected).abs() < 1e-6, "τ {tau}, i {i}: {cosine} {expected}");
            }
        }
    }
}
