//! Keeps the batch of an update whose result is not finite, as a file in the run's directory.

use std::path::Path;

use anyhow::anyhow;
use rl_core::{Column, Error, Values};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::file;

/// Beginning of the name of such a file.
pub(crate) const BEGIN: &str = "not-finite-update-";

/// Writes the batch of an [`Error::NotFinite`] to the directory `run` and adds the path to its message; returns other
/// errors as they are.
pub(crate) fn keep_batch(error: anyhow::Error, run: &Path) -> anyhow::Error {
    let batch = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(Error::NotFinite { update, batch, .. }) if !batch.is_empty() => Some((update, batch)),
        _ => None,
    });
    let Some((update, batch)) = batch else { return error };
    let path = run.join(format!("{BEGIN}{update}.safetensors"));
    match safetensors(batch).and_then(|bytes| file::write(&path, &bytes)) {
        Ok(()) => anyhow!("{error:#}; its batch is in {}, no checkpoint is of it", path.display()),
        Err(failed) => anyhow!("{error:#}; its batch could not be kept: {failed:#}"),
    }
}

fn safetensors(batch: &[Column]) -> anyhow::Result<Vec<u8>> {
    let parts: Vec<_> = batch.iter().map(|column| (column, bytes(&column.values))).collect();
    let views = parts
        .iter()
        .map(|(column, (dtype, bytes))| Ok((column.name, TensorView::new(*dtype, column.shape.clone(), bytes)?)));
    Ok(safetensors::serialize(views.collect::<anyhow::Result<Vec<_>>>()?, None)?)
}

/// Type and bytes of values, little-endian as safetensors has them.
fn bytes(values: &Values) -> (Dtype, Vec<u8>) {
    match values {
        Values::U8(values) => (Dtype::U8, values.clone()),
        Values::U32(values) => (Dtype::U32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::F64(values) => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}
