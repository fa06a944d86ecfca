//! How far long tasks have come: one line that redraws itself on a terminal, a few whole lines elsewhere.

use std::time::{Duration, Instant};

/// How far one task has come.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The same for all steps of a task.
    pub task: u64,
    /// What is being done.
    pub what: String,
    /// How much is done.
    pub done: u64,
    /// Of how much, where that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: String,
    /// Whether the task is over.
    pub finished: bool,
}

/// Between two drawings of a bar.
const REDRAWN: Duration = Duration::from_millis(100);

/// Between two lines where there is no bar, unless a quarter was done in between.
const TOLD: Duration = Duration::from_secs(5);

/// What is to be shown of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// Nothing: too soon after the last.
    Nothing,
    /// A line that the next one replaces.
    Bar(String),
    /// A line that stays.
    Line(String),
}

/// The tasks under way.
#[derive(Debug, Default)]
pub struct Tasks {
    tasks: Vec<Task>,
}

#[derive(Debug)]
struct Task {
    id: u64,
    began: Instant,
    drawn: Option<Instant>,
    quarter: u64,
}

impl Tasks {
    /// Takes in a step at the time `now` and says what to show; `width` is the terminal's, none where there is none.
    pub fn step(&mut self, step: &Step, now: Instant, width: Option<usize>) -> Shown {
        let place = self.tasks.iter().position(|task| task.id == step.task).unwrap_or_else(|| {
            self.tasks.push(Task { id: step.task, began: now, drawn: None, quarter: 0 });
            self.tasks.len() - 1
        });
        if step.finished {
            let took = now - self.tasks.remove(place).began;
            return Shown::Line(format!("{} {}, {}", step.what, amount(step.done, &step.unit), duration(took)));
        }
        let task = &mut self.tasks[place];
        let took = now - task.began;
        let pause = task.drawn.map(|drawn| now - drawn);
        let shown = if let Some(width) = width {
            if pause.is_some_and(|pause| pause < REDRAWN) { Shown::Nothing } else { Shown::Bar(bar(step, took, width)) }
        } else {
            let quarter = fraction(step).map_or(0, |done| (done * 4.0) as u64);
            let due = quarter > task.quarter || pause.is_none_or(|pause| pause >= TOLD);
            task.quarter = quarter.max(task.quarter);
            if due { Shown::Line(line(step)) } else { Shown::Nothing }
        };
        if shown != Shown::Nothing {
            task.drawn = Some(now);
        }
        shown
    }

    /// Forgets all tasks: their cell is over.
    pub fn clear(&mut self) {
        self.tasks.clear();
    }
}

fn fraction(step: &Step) -> Option<f64> {
    let total = step.total.filter(|&total| total > 0)?;
    Some((step.done as f64 / total as f64).min(1.0))
}

fn line(step: &Step) -> String {
    match (fraction(step), step.total) {
        (Some(done), Some(total)) => {
            format!("{} {:.0} % of {}", step.what, (done * 100.0).floor(), amount(total, &step.unit))
        }
        _ => format!("{} {}", step.what, amount(step.done, &step.unit)),
    }
}

/// `Fetching weights ━━━━━━━────── 52 % of 14.2 MB, 3 s left`, cut to the terminal's width.
fn bar(step: &Step, took: Duration, width: usize) -> String {
    let Some(done) = fraction(step) else { return line(step).chars().take(width).collect() };
    let full = (done * 24.0) as usize;
    let left = took.mul_f64(((1.0 - done) / done.max(1e-6)).min(1e5));
    let left = if took.as_secs() < 1 || done == 0.0 { String::new() } else { format!(", {} left", duration(left)) };
    let figures = line(step).split_off(step.what.len());
    let text = format!("{} {}{}{figures}{left}", step.what, "━".repeat(full), "─".repeat(24 - full));
    text.chars().take(width).collect()
}

/// `1 photo`, `2002 photos`, `14.2 MB`.
pub fn amount(count: u64, unit: &str) -> String {
    match (unit, count) {
        ("bytes" | "byte" | "B", 0..1000) => format!("{count} B"),
        ("bytes" | "byte" | "B", 0..1_000_000) => format!("{:.0} kB", count as f64 / 1e3),
        ("bytes" | "byte" | "B", 0..1_000_000_000) => format!("{:.1} MB", count as f64 / 1e6),
        ("bytes" | "byte" | "B", _) => format!("{:.2} GB", count as f64 / 1e9),
        (unit, 1) => format!("1 {}", unit.strip_suffix('s').unwrap_or(unit)),
        (unit, _) => format!("{count} {unit}").trim_end().to_owned(),
    }
}

/// `0.25 s`, `4.2 s`, `42 s`, `3 min 5 s`.
pub fn duration(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 0.995 => format!("{s:.2} s"),
        s if s < 9.95 => format!("{s:.1} s"),
        s if s < 59.5 => format!("{s:.0} s"),
        s => {
            let s = s.round() as u64;
            if s < 3600 {
                format!("{} min {} s", s / 60, s % 60)
            } else {
                format!("{} h {} min", s / 3600, s / 60 % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(done: u64, total: Option<u64>) -> Step {
        Step { task: 1, what: "Counting".into(), done, total, unit: "sheep".into(), finished: total == Some(done) }
    }

    #[test]
    fn without_a_terminal_quarters_and_long_pauses_make_lines() {
        let start = Instant::now();
        let mut tasks = Tasks::default();
        let mut lines = Vec::new();
        for done in 0..=1000 {
            let now = start + Duration::from_millis(done);
            if let Shown::Line(line) = tasks.step(&step(done, Some(1000)), now, None) {
                lines.push(line);
            }
        }
        let want = [
            "Counting 0 % of 1000 sheep",
            "Counting 25 % of 1000 sheep",
            "Counting 50 % of 1000 sheep",
            "Counting 75 % of 1000 sheep",
            "Counting 1000 sheep, 1.0 s",
        ];
        assert_eq!(lines, want);
        let late = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(tasks.step(&step(1, None), late(10), None), Shown::Line("Counting 1 sheep".into()));
        assert_eq!(tasks.step(&step(2, None), late(14), None), Shown::Nothing);
        assert_eq!(tasks.step(&step(3, None), late(15), None), Shown::Line("Counting 3 sheep".into()));
    }

    #[test]
    fn on_a_terminal_a_bar_fits_its_line() {
        let start = Instant::now();
        let mut tasks = Tasks::default();
        let at = |ms| start + Duration::from_millis(ms);
        let Shown::Bar(first) = tasks.step(&step(0, Some(4)), at(0), Some(79)) else { panic!("no bar") };
        assert_eq!(first, format!("Counting {} 0 % of 4 sheep", "─".repeat(24)));
        assert_eq!(tasks.step(&step(1, Some(4)), at(50), Some(79)), Shown::Nothing);
        let Shown::Bar(third) = tasks.step(&step(3, Some(4)), at(6000), Some(79)) else { panic!("no bar") };
        assert_eq!(third, format!("Counting {}{} 75 % of 4 sheep, 2.0 s left", "━".repeat(18), "─".repeat(6)));
        let Shown::Bar(narrow) = tasks.step(&step(3, Some(4)), at(7000), Some(20)) else { panic!("no bar") };
        assert_eq!(narrow.chars().count(), 20);
        assert_eq!(tasks.step(&step(9, Some(0)), at(7000), Some(20)), Shown::Nothing);
    }

    #[test]
    fn amounts_and_times_read_well() {
        let amounts = [(1, "photos"), (2, "photos"), (999, "bytes"), (14_200_000, "bytes"), (3, "")];
        assert_eq!(amounts.map(|(n, unit)| amount(n, unit)), ["1 photo", "2 photos", "999 B", "14.2 MB", "3"]);
        let times = [0.25, 0.999, 9.94, 9.96, 59.6, 185.4, 7300.0].map(|s| duration(Duration::from_secs_f64(s)));
        assert_eq!(times, ["0.25 s", "1.0 s", "9.9 s", "10 s", "1 min 0 s", "3 min 5 s", "2 h 1 min"]);
    }
}
