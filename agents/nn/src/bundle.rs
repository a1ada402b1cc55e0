//! Many tensors as one argument of an operation: candle's operations have at most three, and a layer may have more.
//!
//! A bundle is a node of the graph with one value that depends on all of its members. The layer takes it as an
//! argument; in its backward pass it leaves the members' gradients with the bundle, which hands them on.

use std::sync::{Arc, Mutex};

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

/// Gradients that a layer has computed and a bundle hands on, one per member.
type Given = Arc<Mutex<Vec<Option<Tensor>>>>;

/// Many tensors as one argument of an operation, and the gradients that the operation returns for them.
#[derive(Clone)]
pub(crate) struct Bundle {
    given: Given,
    /// Whether each tensor is tracked without being a variable: such a node of candle's graph must get a gradient.
    inner: Vec<bool>,
}

impl Bundle {
    /// Bundles `tensors`, at least one; returns the node of the graph that stands for them.
    pub(crate) fn new(tensors: &[&Tensor]) -> Result<(Tensor, Self)> {
        let given: Given = Arc::new(Mutex::new(vec![None; tensors.len()]));
        let mut node: Option<Tensor> = None;
        for (at, tensor) in tensors.iter().enumerate().filter(|(_, tensor)| tensor.track_op()) {
            let member = Member { given: given.clone(), at };
            node = Some(match node {
                None => tensor.apply_op1(member)?,
                Some(before) => before.apply_op2(tensor, member)?,
            });
        }
        let node = match (node, tensors) {
            (Some(node), _) => node,
            (None, [first, ..]) => Tensor::zeros(1, first.dtype(), first.device())?,
            (None, []) => candle_core::bail!("a bundle of no tensors"),
        };
        let inner = tensors.iter().map(|tensor| tensor.track_op() && !tensor.is_variable()).collect();
        Ok((node, Self { given, inner }))
    }

    /// Hands on `gradients`, one per member; returns the gradient of its `node`.
    pub(crate) fn give(&self, node: &Tensor, tensors: &[&Tensor], gradients: Vec<Option<Tensor>>) -> Result<Tensor> {
        let mut given = self.given.lock().expect("no member panics with it");
        for (at, gradient) in gradients.into_iter().enumerate() {
            given[at] = match gradient {
                None if self.inner[at] => Some(tensors[at].zeros_like()?),
                gradient => gradient,
            };
        }
        node.zeros_like()
    }
}

struct Member {
    given: Given,
    at: usize,
}

impl Member {
    fn take(&self) -> Option<Tensor> {
        self.given.lock().expect("no layer panics with it")[self.at].take()
    }
}

impl CustomOp1 for Member {
    fn name(&self) -> &'static str {
        "bundle"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), 1.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(self.take())
    }
}

impl CustomOp2 for Member {
    fn name(&self) -> &'static str {
        "bundle"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), 1.into()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(g.clone()), self.take()))
    }
}
