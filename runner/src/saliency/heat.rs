//! A map of how much each place moves a policy, and how it is laid over a picture.

use rl_core::Canvas;

/// Colours of what moves the value, and of what moves the choice: Greydanus et al. have red and blue, which many games are.
pub(crate) const VALUE: [u8; 3] = [255, 70, 50];
pub(crate) const CHOICE: [u8; 3] = [70, 255, 220];
/// How much of the picture the hottest place hides.
const MOST: f32 = 0.72;

/// How much each place moves a policy, `[rows, columns]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heat {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// What part of the height and of the width of a picture is between two places.
    every: [f32; 2],
    /// Half the square by which the value moves.
    pub(crate) value: Vec<f32>,
    /// The same of the numbers of the actions, less their mean.
    pub(crate) choice: Vec<f32>,
}

impl Heat {
    /// Of places that move nothing.
    pub(crate) fn new([rows, columns]: [usize; 2], every: [f32; 2]) -> Self {
        let cold = vec![0.0; rows * columns];
        Self { rows, columns, every, value: cold.clone(), choice: cold }
    }

    /// The most that any place moves the value, and the numbers of the actions: lengths, not squares.
    #[cfg(feature = "viewer")]
    pub(crate) fn most(&self) -> [f32; 2] {
        [&self.value, &self.choice].map(|heat| (2.0 * heat.iter().copied().fold(0.0, f32::max)).sqrt())
    }

    /// Lays it over a picture of what is seen: what moves the value, and what moves the choice, each from nothing to the most
    /// of this map.
    pub(crate) fn tint(&self, picture: &mut Canvas) {
        let scale = |heat: &[f32]| {
            let most = heat.iter().copied().fold(0.0, f32::max);
            if most > 0.0 && most.is_finite() { 1.0 / most } else { 0.0 }
        };
        let (value_scale, choice_scale) = (scale(&self.value), scale(&self.choice));
        let (height, width) = (picture.height(), picture.width());
        let columns: Vec<Between> = (0..width).map(|x| self.between(x, width, 1, self.columns)).collect();
        for (y, line) in picture.pixels_mut().chunks_exact_mut((width * 3).max(1)).enumerate() {
            let row = self.between(y, height, 0, self.rows);
            for (pixel, &column) in line.as_chunks_mut::<3>().0.iter_mut().zip(&columns) {
                let value = self.at(&self.value, row, column) * value_scale;
                let choice = self.at(&self.choice, row, column) * choice_scale;
                let (sum, hides) = (value + choice, MOST * value.max(choice));
                if !sum.is_finite() || sum <= 0.0 {
                    continue;
                }
                for (c, channel) in pixel.iter_mut().enumerate() {
                    let colour = (value * f32::from(VALUE[c]) + choice * f32::from(CHOICE[c])) / sum;
                    *channel = (f32::from(*channel) * (1.0 - hides) + colour * hides).round() as u8;
                }
            }
        }
    }

    /// Between which places pixel `at` of `side` lies along an axis.
    fn between(&self, at: usize, side: usize, axis: usize, places: usize) -> Between {
        let place = ((at as f32 + 0.5) / side as f32 / self.every[axis] - 0.5).clamp(0.0, (places - 1) as f32);
        let first = place as usize;
        Between { first, second: (first + 1).min(places - 1), part: place - first as f32 }
    }

    /// The heat between four places.
    fn at(&self, heat: &[f32], row: Between, column: Between) -> f32 {
        let along = |row: usize| {
            let (a, b) = (heat[row * self.columns + column.first], heat[row * self.columns + column.second]);
            a + (b - a) * column.part
        };
        let (a, b) = (along(row.first), along(row.second));
        a + (b - a) * row.part
    }
}

/// Two neighbours, and how far it is from the first to the second.
#[derive(Clone, Copy, Debug)]
struct Between {
    first: usize,
    second: usize,
    part: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_tinted_where_it_is_hot_and_nowhere_else() {
        let mut heat = Heat::new([2, 4], [0.5, 0.25]);
        (heat.value[0], heat.choice[7]) = (0.02, 8.0);
        let mut picture = Canvas::new(80, 40);
        picture.pixels_mut().fill(100);
        heat.tint(&mut picture);
        let at = |x: usize, y: usize| picture.pixels()[(y * 80 + x) * 3..][..3].to_vec();
        let hot = |colour: [u8; 3]| colour.map(|c| (100.0 * (1.0 - MOST) + f32::from(c) * MOST).round() as u8).to_vec();
        assert_eq!((at(0, 0), at(79, 39)), (hot(VALUE), hot(CHOICE)));
        assert_eq!((at(79, 0), at(0, 39)), (vec![100; 3], vec![100; 3]));
        let (near, far) = (at(15, 5)[0], at(25, 5)[0]);
        assert!(near > far && far > 100, "it fades: {near} {far}");
    }

    #[test]
    fn where_nothing_moves_nothing_is_tinted() {
        let mut picture = Canvas::new(8, 8);
        picture.pixels_mut().fill(7);
        let mut heat = Heat::new([3, 3], [0.34, 0.34]);
        heat.tint(&mut picture);
        heat.value[4] = f32::INFINITY;
        heat.tint(&mut picture);
        assert!(picture.pixels().iter().all(|&byte| byte == 7));
    }
}
