//! Named values of a batch, for whoever asks what an update learned from.

/// Values of one kind.
#[derive(Clone, PartialEq)]
pub enum Values {
    /// Pixels and masks.
    U8(Vec<u8>),
    /// Symbols, actions and places.
    U32(Vec<u32>),
    /// Nearly everything else.
    F32(Vec<f32>),
    /// What is reckoned in double precision.
    F64(Vec<f64>),
}

/// Values with a name and a shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// What they are, such as `observation.frames`.
    pub name: &'static str,
    /// The first of them is the rows; their product is the number of values.
    pub shape: Vec<usize>,
    /// The values, row by row.
    pub values: Values,
}

impl Column {
    /// Of so many rows, each of as many values as that leaves.
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
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::U8(values) => values.len(),
            Self::U32(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::F64(values) => values.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A batch in a message is as good as its size.
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
