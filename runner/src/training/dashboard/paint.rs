//! Draws a scene: curve and game side by side, below them where the time goes and the last episodes. On a small
//! terminal some of it is left out.

use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Block, Chart, Clear, Dataset, GraphType, LineGauge, Paragraph};
use rl_agents::Part;

use super::picture::{Palette, Picture};
use super::scene::Scene;
use crate::console::number::{clock, count, fixed, short};
use crate::training::progress::{left, total};

/// Least width and height for all but a few lines of text.
const LEAST: (u16, u16) = (60, 16);
/// Least width for the game beside the curve.
const WIDE: u16 = 90;

const DIM: Style = Style::new().fg(Color::DarkGray);
const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const ACCENT: Color = Color::Cyan;

/// Keys and what they do.
const KEYS: [(&str, &str); 5] = [
    ("q, Ctrl-C", "stop with a checkpoint; `rl-run resume` continues"),
    ("tab, right, left", "another curve"),
    ("space", "freeze the picture, or let it go on"),
    ("?", "these keys"),
    ("Ctrl-C twice", "end at once"),
];

/// What a person has chosen to look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Index of the curve that is shown.
    pub(super) curve: usize,
    pub(super) still: bool,
    pub(super) help: bool,
    /// Whether the run was asked to end.
    pub(super) stopping: bool,
    pub(super) palette: Palette,
    /// Number of curves when the scene was last drawn.
    pub(super) curves: usize,
}

impl Default for Look {
    fn default() -> Self {
        Self { curve: 0, still: false, help: false, stopping: false, palette: Palette::True, curves: 1 }
    }
}

impl Look {
    /// Takes a key that changes only what is looked at.
    pub(super) fn press(&mut self, key: KeyCode) {
        let help = std::mem::take(&mut self.help);
        match key {
            KeyCode::Char('?') => self.help = !help,
            KeyCode::Tab | KeyCode::Right | KeyCode::Down => self.curve = (self.curve + 1) % self.curves,
            KeyCode::BackTab | KeyCode::Left | KeyCode::Up => self.curve = (self.curve + self.curves - 1) % self.curves,
            _ => {}
        }
    }
}

/// Draws the whole scene.
pub(super) fn paint(frame: &mut Frame<'_>, scene: &Scene, look: &mut Look) {
    look.curves = scene.curves.len();
    look.curve = look.curve.min(look.curves - 1);
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        return few(frame, area, scene, look);
    }
    // Where the screen is low, the lists below are cut and the curve keeps half of the room.
    let lists = (Part::ALL.len() as u16 + 2).min((area.height - 3) / 2);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Fill(1),
        Constraint::Length(lists),
        Constraint::Length(1),
    ]);
    let [title, gauge, upper, lower, foot] = rows.areas(area);
    frame.render_widget(Line::from(vec![Span::styled(&scene.title, BOLD), Span::styled(told(scene), DIM)]), title);
    progress(frame, gauge, scene);
    let shows = area.width >= WIDE && scene.picture.width() > 0;
    let half = if shows { Constraint::Percentage(38) } else { Constraint::Length(0) };
    let [left, right] = Layout::horizontal([Constraint::Fill(1), half]).areas(upper);
    curve(frame, left, scene, look);
    if shows {
        game(frame, right, scene, look);
    }
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Percentage(50)]).areas(lower);
    parts(frame, left, scene);
    latest(frame, right, scene);
    frame.render_widget(keys(look), foot);
    if look.help {
        help(frame, area);
    }
}

/// Draws what fits on a small terminal.
fn few(frame: &mut Frame<'_>, area: Rect, scene: &Scene, look: &Look) {
    let mut lines = vec![
        Line::styled(scene.title.as_str(), BOLD),
        Line::raw(far(scene)),
        Line::raw(format!("{}{}", value("return", scene.glance.mean_return), value("loss", scene.glance.loss))),
    ];
    let last = scene.over.back();
    lines.extend(last.map(|over| Line::raw(format!("episode {} {}", over.number, short(over.ret)))));
    lines.push(keys(look));
    frame.render_widget(Paragraph::new(lines), area);
}

fn value(name: &str, value: Option<f64>) -> String {
    value.map(|value| format!("{name} {}  ", short(value))).unwrap_or_default()
}

fn told(scene: &Scene) -> String {
    let glance = &scene.glance;
    let values = [("return", glance.mean_return), ("loss", glance.loss), ("ε", glance.epsilon)];
    let values: String = values.map(|(name, of)| value(name, of)).concat();
    format!("   {values}{} agent steps  {} updates", count(scene.agent_steps), count(scene.updates))
}

fn far(scene: &Scene) -> String {
    let all = total(scene.total, &scene.glance);
    let left = left(scene.frames, all, scene.rate, &scene.glance);
    let [done, all, rate] = [count(scene.frames), count(all), fixed(scene.rate, 0)];
    format!("{done}/{all} frames  {left}  {rate} frames/s")
}

fn progress(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let all = total(scene.total, &scene.glance).max(1);
    let ratio = (scene.frames as f64 / all as f64).clamp(0.0, 1.0);
    let text = format!("{:>3.0} %  {}  {} elapsed ", 100.0 * ratio, far(scene), clock(scene.since.elapsed().as_secs()));
    let gauge = LineGauge::default().ratio(ratio).label(text).filled_style(Style::new().fg(ACCENT)).unfilled_style(DIM);
    frame.render_widget(gauge, area);
}

/// Draws the chosen curve: its points, and the smoothed curve over them.
fn curve(frame: &mut Frame<'_>, area: Rect, scene: &Scene, look: &Look) {
    let shown = &scene.curves[look.curve];
    let title = format!(" {} ({}/{}, tab) ", shown.name, look.curve + 1, look.curves);
    let block = Block::bordered().title(title).border_style(DIM);
    let points = shown.points();
    let Some(&(last, _)) = points.last() else {
        let text = if look.curve == 0 { "no episode is over yet" } else { "nothing yet" };
        frame.render_widget(Paragraph::new(text).style(DIM).centered().block(block), area);
        return;
    };
    let first = points[0].0.min(last);
    let across = [first, if last > first { last } else { first + 1.0 }];
    let up = span(points);
    let smooth = shown.smooth();
    let set = |data| Dataset::default().data(data).marker(Marker::Braille);
    let sets = vec![
        set(points).graph_type(GraphType::Scatter).style(DIM),
        set(&smooth).graph_type(GraphType::Line).style(Style::new().fg(ACCENT)),
    ];
    let labels = |bounds: [f64; 2]| [bounds[0], (bounds[0] + bounds[1]) / 2.0, bounds[1]].map(short).to_vec();
    let axis = |bounds: [f64; 2]| Axis::default().bounds(bounds).labels(labels(bounds)).style(DIM);
    let frames = Axis::default().bounds(across).style(DIM);
    let frames = frames.labels([fixed(across[0], 0), format!("{} frames", fixed(across[1], 0))]);
    frame.render_widget(Chart::new(sets).block(block).x_axis(frames).y_axis(axis(up)), area);
}

/// Least and greatest value, some way apart if they are equal.
fn span(points: &[(f64, f64)]) -> [f64; 2] {
    let [low, high] =
        points.iter().fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], &(_, y)| [low.min(y), high.max(y)]);
    let room = if high > low { 0.0 } else { low.abs().max(1.0) / 2.0 };
    [low - room, high + room]
}

fn game(frame: &mut Frame<'_>, area: Rect, scene: &Scene, look: &Look) {
    let title = if look.still { " first seat (stands still) " } else { " first seat " };
    let block = Block::bordered().title(title).border_style(DIM);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    frame.render_widget(Picture { canvas: &scene.picture, palette: look.palette }, inner);
}

/// Draws a bar for each part of the time.
fn parts(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let block = Block::bordered().title(" where the time goes ").border_style(DIM);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let bar = usize::from(inner.width.saturating_sub(16));
    let lines = Part::ALL.iter().zip(scene.parts).map(|(part, share)| {
        let full = (share * bar as f64).round() as usize;
        let percent = format!("{:>4.0} % ", 100.0 * share);
        let full = Span::styled("█".repeat(full.min(bar)), Style::new().fg(ACCENT));
        Line::from(vec![Span::raw(format!("{:<9}", part.name())), Span::raw(percent), full])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), inner);
}

/// Draws the latest messages and episodes.
fn latest(frame: &mut Frame<'_>, area: Rect, scene: &Scene) {
    let block = Block::bordered().title(" last episodes ").border_style(DIM);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let notes =
        scene.notes.iter().rev().take(2).map(|note| Line::styled(note.as_str(), Style::new().fg(Color::Yellow)));
    let over = scene.over.iter().rev().map(|over| {
        let frames = Span::styled(format!("  {} frames", count(over.frames)), DIM);
        Line::from(vec![Span::styled(format!("{:>8}  ", over.number), DIM), Span::raw(short(over.ret)), frames])
    });
    let lines: Vec<Line<'_>> = notes.chain(over).take(usize::from(inner.height)).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn keys(look: &Look) -> Line<'static> {
    if look.stopping {
        return Line::styled(
            "stopping: a checkpoint is written once this block is over",
            Style::new().fg(Color::Yellow),
        );
    }
    Line::styled("q stop with a checkpoint   tab next curve   space freeze the picture   ? keys", DIM)
}

fn help(frame: &mut Frame<'_>, area: Rect) {
    let (wide, high) = (70.min(area.width), (KEYS.len() as u16 + 2).min(area.height));
    let area = Rect::new(area.x + (area.width - wide) / 2, area.y + (area.height - high) / 2, wide, high);
    let lines = KEYS.map(|(keys, does)| Line::from(vec![Span::styled(format!(" {keys:<17}"), BOLD), Span::raw(does)]));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines.to_vec()).block(Block::bordered().title(" keys ")), area);
}
