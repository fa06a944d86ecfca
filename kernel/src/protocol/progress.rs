//! Progress in a notebook: one display for each task of a cell, which moves.

use super::cell_outputs::Message;
use crate::html::text::escaped;
use crate::terminal::progress::{Step, amount};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Between two updates of a bar.
const REDRAWN: Duration = Duration::from_millis(100);

/// The bars of one cell.
#[derive(Debug)]
pub(super) struct Bars {
    cell: String,
    bars: BTreeMap<u64, Bar>,
}

#[derive(Debug)]
struct Bar {
    /// When it was last; none until it is shown.
    shown: Option<Instant>,
    /// What is not shown yet.
    next: Option<Step>,
}

impl Bars {
    /// For a cell's execution, under a name that is its own.
    pub(super) fn new(cell: &str) -> Self {
        Self { cell: cell.to_owned(), bars: BTreeMap::new() }
    }

    /// Takes in a step.
    pub(super) fn step(&mut self, step: Step) {
        let bar = self.bars.entry(step.task).or_insert(Bar { shown: None, next: None });
        bar.next = Some(step);
    }

    /// Forgets all: the cell's outputs are cleared.
    pub(super) fn clear(&mut self) {
        self.bars.clear();
    }

    /// When the next update is to be sent.
    pub(super) fn due(&self) -> Option<Instant> {
        let waiting = self.bars.values().filter(|bar| bar.next.is_some());
        waiting.filter_map(|bar| Some(bar.shown? + REDRAWN)).min()
    }

    /// The updates that are to be sent by now, or, where `all` is set, all that there are.
    pub(super) fn take(&mut self, now: Instant, all: bool) -> Vec<Message> {
        let mut messages = Vec::new();
        for (&task, bar) in &mut self.bars {
            if let Some(step) = bar.next.take_if(|step| {
                all || step.finished || bar.shown.is_none_or(|shown| now.duration_since(shown) >= REDRAWN)
            }) {
                let kind = if bar.shown.is_some() { "update_display_data" } else { "display_data" };
                bar.shown = Some(now);
                let id = format!("candlewick-progress-{}-{task}", self.cell);
                let data = json!({"text/plain": text(&step), "text/html": html(&step)});
                messages.push((kind, json!({"data": data, "metadata": {}, "transient": {"display_id": id}})));
            }
        }
        messages
    }
}

/// `Reading photos  420/2002 photos  21 %`.
fn text(step: &Step) -> String {
    format!("{}  {}", step.what, figures(step))
}

fn figures(step: &Step) -> String {
    match step.total.filter(|&total| total > 0) {
        Some(total) => {
            let whole = amount(total, &step.unit);
            let done = step.done.min(total);
            let done_in_words = if step.unit == "bytes" { amount(done, &step.unit) } else { done.to_string() };
            format!("{done_in_words}/{whole}  {} %", (done as f64 / total as f64 * 100.0).floor())
        }
        None => amount(step.done, &step.unit),
    }
}

/// The colours and the font are the page's own, so that it fits a light and a dark one.
fn html(step: &Step) -> String {
    let extent = match step.total.filter(|&total| total > 0) {
        Some(total) => format!(" max=\"{total}\" value=\"{}\"", step.done.min(total)),
        None if step.finished => " max=\"1\" value=\"1\"".to_owned(),
        None => String::new(),
    };
    format!(
        "<label style=\"display: flex; align-items: center; gap: 0.75em; font-variant-numeric: tabular-nums\">{} \
         <progress{extent} style=\"width: 16em\"></progress> {}</label>",
        escaped(&step.what),
        escaped(&figures(step)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: u64, total: Option<u64>, finished: bool) -> Step {
        Step { task: 1, what: "Reading <photos>".into(), done, total, unit: "photos".into(), finished }
    }

    fn said(messages: Vec<Message>) -> Vec<(&'static str, String)> {
        messages.into_iter().map(|(kind, m)| (kind, m["data"]["text/plain"].as_str().unwrap().to_owned())).collect()
    }

    #[test]
    fn a_bar_moves_ten_times_a_second_and_its_end_is_always_shown() {
        let (mut bars, start) = (Bars::new("cell"), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        bars.step(step(1, Some(200), false));
        assert_eq!(said(bars.take(at(0), false)), [("display_data", "Reading <photos>  1/200 photos  0 %".into())]);
        for done in 2..50 {
            bars.step(step(done, Some(200), false));
            assert_eq!(said(bars.take(at(done), false)), []);
        }
        assert_eq!(bars.due(), Some(at(100)));
        let moved = ("update_display_data", "Reading <photos>  49/200 photos  24 %".to_owned());
        assert_eq!(said(bars.take(at(100), false)), [moved]);
        assert_eq!(bars.due(), None);
        bars.step(step(200, Some(200), true));
        let ended = ("update_display_data", "Reading <photos>  200/200 photos  100 %".to_owned());
        assert_eq!(said(bars.take(at(101), false)), [ended]);

        bars.step(step(3, None, false));
        assert_eq!(said(bars.take(at(102), true)), [("update_display_data", "Reading <photos>  3 photos".into())]);
        bars.clear();
        bars.step(step(1, None, false));
        assert_eq!(bars.take(at(103), false)[0].0, "display_data", "after a clear it is shown anew");
    }

    #[test]
    fn the_bar_is_a_labelled_progress_element() {
        let shown = html(&step(420, Some(2002), false));
        assert!(shown.contains("<label") && shown.contains("Reading &lt;photos&gt;"), "{shown}");
        assert!(shown.contains("<progress max=\"2002\" value=\"420\"") && shown.contains("420/2002 photos  20 %"));
        assert!(html(&step(5, Some(4), false)).contains("max=\"4\" value=\"4\""));
        assert!(html(&step(5, Some(0), false)).contains("<progress style"));
        assert!(html(&step(5, None, true)).contains("max=\"1\" value=\"1\""));
        let bytes = Step { unit: "bytes".into(), ..step(1_500_000, Some(14_200_000), false) };
        assert!(text(&bytes).ends_with("  1.5 MB/14.2 MB  10 %"), "{}", text(&bytes));
    }
}
