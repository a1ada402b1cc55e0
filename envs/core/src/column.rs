//! Named values of a batch, for whoever asks what an update learned from.

/// Numbers of one type, in row-major order.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Pixels and action masks.
    U8(Vec<u8>),
    /// Discrete observations, discrete actions and indices.
    U32(Vec<u32>),
    /// Single-precision numbers, such as features, rewards and advantages.
    F32(Vec<f32>),
    /// Numbers that are computed in double precision.
    F64(Vec<f64>),
}

/// One named array of a training batch, such as its rewards, for inspection when an update fails.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Name of the array, such as `observation.frames`.
    pub name: &'static str,
    /// Shape of the array: the first size is the number of rows, and the product is the number of values.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Values,
}

impl Column {
    /// Makes a column of `rows` rows of equal width: of the shape `[rows, width]`, or `[rows]` where the width is 1.
    pub fn new(name: &'static str, rows: usize, values: impl Into<Values>) -> Self {
        let values = values.into();
        let shape = match values.len().checked_div(rows) {
            Some(width) if width != 1 => vec![rows, width],
            _ => vec![values.len()],
        };
        Self { name, shape, values }
    }
}

impl Values {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Shows the number of values alone, so that an error with a batch stays short.
impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} values", self.len())
    }
}

impl From<Vec<u8>> for Values {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

impl From<Vec<u32>> for Values {
    fn from(values: Vec<u32>) -> Self {
        Self::U32(values)
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_one_value_are_a_vector_and_others_a_table() {
        assert_eq!(Column::new("a", 3, vec![1.0f32, 2.0, 3.0]).shape, [3]);
        assert_eq!(Column::new("a", 3, vec![0u8; 12]).shape, [3, 4]);
        assert_eq!(Column::new("a", 3, Vec::<u32>::new()).shape, [3, 0]);
        assert_eq!(Column::new("a", 0, Vec::<f64>::new()).shape, [0]);
    }
}
