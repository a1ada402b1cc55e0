//! A map of how much each place moves a policy, and how it is laid over a picture.

use rl_core::Canvas;

/// Colour of what moves the value; [`CHOICE`] is that of what moves the choice. Greydanus et al. use red and blue, but
/// many games are blue.
pub(crate) const VALUE: [u8; 3] = [255, 70, 50];
pub(crate) const CHOICE: [u8; 3] = [70, 255, 220];
/// How much of the picture the hottest place covers, from 0 to 1.
const MOST: f32 = 0.72;

/// How much each place moves a policy, `[rows, columns]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Heat {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Distance between two places as a share of the height and of the width.
    every: [f32; 2],
    /// Half the square of the difference in value, per place.
    pub(crate) value: Vec<f32>,
    /// Half the square of the difference in the actions' numbers less their mean, per place.
    pub(crate) choice: Vec<f32>,
}

impl Heat {
    /// Makes a map of places that move nothing.
    pub(crate) fn new([rows, columns]: [usize; 2], every: [f32; 2]) -> Self {
        let cold = vec![0.0; rows * columns];
        Self { rows, columns, every, value: cold.clone(), choice: cold }
    }

    /// Largest difference in value, and in the actions' numbers, that any place makes.
    #[cfg(feature = "viewer")]
    pub(crate) fn most(&self) -> [f32; 2] {
        [&self.value, &self.choice].map(|heat| (2.0 * heat.iter().copied().fold(0.0, f32::max)).sqrt())
    }

    /// Lays the map over a picture, each of value and choice scaled to its own maximum.
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

    /// Finds the two places along an axis between which pixel `at` of `side` pixels lies.
    fn between(&self, at: usize, side: usize, axis: usize, places: usize) -> Between {
        let place = ((at as f32 + 0.5) / side as f32 / self.every[axis] - 0.5).clamp(0.0, (places - 1) as f32);
        let first = place as usize;
        Between { first, second: (first + 1).min(places - 1), part: place - first as f32 }
    }

    /// Heat at a point between four places, by bilinear interpolation.
    fn at(&self, heat: &[f32], row: Between, column: Between) -> f32 {
        let along = |row: usize| {
            let (a, b) = (heat[row * self.columns + column.first], heat[row * self.columns + column.second]);
            a + (b - a) * column.part
        };
        let (a, b) = (along(row.first), along(row.second));
        a + (b - a) * row.part
    }
}

/// Two neighbouring places, and how far along from the first to the second a point lies, from 0 to 1.
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
