//! What a policy does and what states are worth, on a map of cells: the better a cell the greener, an arrow where the policy
//! goes, and the value below it.

use embedded_graphics::pixelcolor::Rgb888;
use embedded_graphics::prelude::RgbColor;

use super::cells::Cells;

const WORST: Rgb888 = Rgb888::new(0xFD, 0xF3, 0xD7);
const BEST: Rgb888 = Rgb888::new(0x62, 0xB5, 0x7F);

/// Picture of a deterministic policy and its state values over the cells of a map.
pub(super) struct Chart<'a, F> {
    open: F,
    actions: &'a [u32],
    values: &'a [f64],
    directions: &'a [(isize, isize)],
    lowest: f64,
    highest: f64,
}

impl<'a, F: Fn(u32) -> bool> Chart<'a, F> {
    /// Makes a chart from `actions` and `values` by cell, and `directions` in rows and columns by action. Cells that
    /// are not `open`, where an episode is over, are left out of the range of values that colours span.
    pub(super) fn new(actions: &'a [u32], values: &'a [f64], directions: &'a [(isize, isize)], open: F) -> Self {
        let shown = || (0..).zip(values).filter(|&(cell, _)| open(cell)).map(|(_, &value)| value);
        let (lowest, highest) = (shown().fold(f64::INFINITY, f64::min), shown().fold(f64::NEG_INFINITY, f64::max));
        Self { open, actions, values, directions, lowest, highest }
    }

    /// Paints all cells, those that are not open by `other`, halves the picture, and writes `letters` and values on
    /// top.
    pub(super) fn paint(
        &self,
        cells: &mut Cells<'_>,
        other: impl Fn(&mut Cells<'_>, u32),
        letters: impl Fn(&mut Cells<'_>),
    ) {
        for (cell, &action) in (0..).zip(self.actions) {
            if (self.open)(cell) {
                let corner = cells.corner(cell);
                cells.tile(corner, self.shade(cell));
                cells.arrow(corner, self.directions[action as usize]);
            } else {
                other(cells, cell);
            }
        }
        cells.halve();
        letters(cells);
        for (cell, &value) in (0..).zip(self.values).filter(|&(cell, _)| (self.open)(cell)) {
            let decimals = if value.abs() < 9.995 { 2 } else { usize::from(value.abs() < 99.95) };
            cells.number(cell, &format!("{value:.decimals$}"));
        }
    }

    fn shade(&self, cell: u32) -> Rgb888 {
        let spread = self.highest - self.lowest;
        let part = if spread > 0.0 { (self.values[cell as usize] - self.lowest) / spread } else { 1.0 };
        let mix = |from: u8, to: u8| (f64::from(from) + part * (f64::from(to) - f64::from(from))).round() as u8;
        Rgb888::new(mix(WORST.r(), BEST.r()), mix(WORST.g(), BEST.g()), mix(WORST.b(), BEST.b()))
    }
}
