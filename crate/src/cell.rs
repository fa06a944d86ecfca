//! What the candlewick kernel wraps around each cell: variables that outlive it, and a true account of how it ended.
//!
//! Nobody calls this by hand. Variables are kept here, in the helper crate's one dylib, so that all cells share them.

use crate::notebook::{lines::Line, send};
use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Display;
use std::io::Write;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::{Mutex, Once, PoisonError};

thread_local! {
    /// Cells run on one thread, and what they keep need not be `Send`.
    static KEPT: RefCell<HashMap<String, Box<dyn Any>>> = RefCell::default();
    /// Whether this thread is the one that runs the cells.
    static IN_CELL: Cell<bool> = const { Cell::new(false) };
}

/// The last panic while a cell ran, its message and line. Not per thread: a worker's panic is resumed in the cell's
/// own thread without a message.
static PANIC: Mutex<Option<(String, Option<u32>)>> = Mutex::new(None);

/// What ended a cell early.
///
/// Anything that can be displayed turns into it, so that `?` works on every kind of error.
pub struct Failure(Kind);

enum Kind {
    Returned(String),
    Panicked,
}

impl<E: Display> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::returned(&error)
    }
}

// Generic code is compiled again in every cell that uses it, at some 50 ms a function. So what is generic here only
// passes on, and the work is done in functions that were compiled once.
impl Failure {
    #[inline(never)]
    fn gone(name: &str) -> Self {
        Self::returned(&format_args!("the variable `{name}` is gone"))
    }

    #[inline(never)]
    fn returned(error: &dyn Display) -> Self {
        Self(Kind::Returned(error.to_string()))
    }
}

/// Only a type that a variable cannot have implements this: the compiler's complaint names the variable's type.
pub trait Kept {}

/// Never runs: it makes the compiler say what type `T` is.
pub fn type_of<T: Kept>(_: &T) {}

/// Runs one cell and tells the kernel how it ended. `number` is the kernel's own.
pub fn run(number: u64, cell: impl FnOnce() -> Result<(), Failure>) {
    run_boxed(number, Box::new(cell));
}

#[inline(never)]
fn run_boxed(number: u64, cell: Box<dyn FnOnce() -> Result<(), Failure> + '_>) {
    static HOOK: Once = Once::new();
    HOOK.call_once(remember_panics);
    IN_CELL.set(true);
    last_panic().take();
    crate::notebook::resume();
    send(&Line::Began { cell: number });
    let ended = guard_boxed(cell);
    IN_CELL.set(false);
    let line = match ended {
        Ok(()) => Line::Done { cell: number },
        Err(Failure(Kind::Returned(message))) => Line::ReturnedError { cell: number, message },
        Err(Failure(Kind::Panicked)) => {
            let (message, line) = last_panic().take().unwrap_or_else(|| ("the cell panicked".to_owned(), None));
            Line::Panicked { cell: number, message, line }
        }
    };
    send(&line);
    // On both channels: the kernel waits for both, so that no late line is taken for the next cell's. Where standard
    // error is closed, nothing can be late on it.
    let _ = std::io::stderr().write_all(Line::Done { cell: number }.encode().as_bytes());
}

/// Runs the part of a cell that people wrote; a panic in it becomes a [`Failure`], so that variables can be put back.
///
/// # Errors
/// What the code returned early with, or that it panicked.
pub fn guard(code: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    guard_boxed(Box::new(code))
}

#[inline(never)]
fn guard_boxed(code: Box<dyn FnOnce() -> Result<(), Failure> + '_>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(code)).unwrap_or(Err(Failure(Kind::Panicked)))
}

/// Makes sure that [`take`] will find `name`: a cell checks all of its variables before it takes the first.
///
/// # Errors
/// Where it is gone, or its type has been defined anew since.
#[inline]
pub fn check<T: 'static>(name: &str) -> Result<(), Failure> {
    check_type(name, TypeId::of::<T>(), size_of::<T>())
}

#[inline(never)]
fn check_type(name: &str, wanted: TypeId, size: usize) -> Result<(), Failure> {
    KEPT.with_borrow(|kept| match kept.get(name) {
        None => Err(Failure::gone(name)),
        Some(value) if (**value).type_id() == wanted && size_of_val(&**value) == size => Ok(()),
        Some(_) => Err(format!("the type of `{name}` has been defined anew since: make it again").into()),
    })
}

/// Takes the variable `name` out, to be used by a cell.
///
/// # Errors
/// As for [`check`].
#[inline]
pub fn take<T: 'static>(name: &str) -> Result<T, Failure> {
    match take_any(name, TypeId::of::<T>(), size_of::<T>())?.downcast() {
        Ok(value) => Ok(*value),
        Err(_) => Err(Failure::gone(name)),
    }
}

#[inline(never)]
fn take_any(name: &str, wanted: TypeId, size: usize) -> Result<Box<dyn Any>, Failure> {
    check_type(name, wanted, size)?;
    KEPT.with_borrow_mut(|kept| kept.remove(name)).ok_or_else(|| Failure::gone(name))
}

/// Keeps a variable that the cell made.
#[inline]
pub fn put<T: 'static>(name: &str, value: T) {
    put_any(name, Box::new(value));
}

#[inline(never)]
fn put_any(name: &str, value: Box<dyn Any>) {
    let old = KEPT.with_borrow_mut(|kept| kept.insert(name.to_owned(), value));
    // Outside the borrow: the old value's destructor is anybody's code.
    drop(old);
}

/// Puts a taken variable back, unless the cell has made another of that name.
#[inline]
pub fn put_back<T: 'static>(name: &str, value: T) {
    put_back_any(name, Box::new(value));
}

#[inline(never)]
fn put_back_any(name: &str, value: Box<dyn Any>) {
    if !KEPT.with_borrow(|kept| kept.contains_key(name)) {
        put_any(name, value);
    }
}

fn last_panic() -> std::sync::MutexGuard<'static, Option<(String, Option<u32>)>> {
    PANIC.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this crate was compiled with debug assertions: not in a notebook, whose cells have them all the same.
pub fn has_debug_assertions() -> bool {
    cfg!(debug_assertions)
}

/// Notes message and line of every panic; in other threads than the cell's, the hook that was there speaks as well.
fn remember_panics() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        *last_panic() = Some((panic_message(info), cell_line(info)));
        if !IN_CELL.get() {
            before(info);
        }
    }));
}

fn panic_message(info: &PanicHookInfo) -> String {
    let payload = info.payload();
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic with a payload that is not text".to_owned())
}

/// A cell is compiled as `src/lib.rs`, by that relative name; every other crate has a longer path.
fn cell_line(info: &PanicHookInfo) -> Option<u32> {
    info.location().filter(|location| location.file() == "src/lib.rs").map(|location| location.line())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_comes_back_once_and_with_its_own_type_only() {
        put("a", vec![1.5f32]);
        assert_eq!(take::<Vec<f32>>("a").ok(), Some(vec![1.5]));
        assert!(take::<Vec<f32>>("a").is_err(), "it has been taken");
        put("b", 1u8);
        assert!(take::<u16>("b").is_err(), "another type");
        assert_eq!(take::<u8>("b").ok(), Some(1), "asking for another type does not lose it");
    }

    #[test]
    fn a_new_value_is_not_replaced_by_the_one_put_back() {
        put("c", 1);
        let old: i32 = take("c").ok().unwrap_or_default();
        put("c", 2);
        put_back("c", old);
        assert_eq!(take::<i32>("c").ok(), Some(2));
    }

    #[test]
    fn a_panic_and_an_error_are_failures_and_variables_survive_them() {
        let panicked = guard(|| panic!("no"));
        assert!(matches!(panicked, Err(Failure(Kind::Panicked))));
        let returned = guard(|| {
            "x".parse::<i32>()?;
            Ok(())
        });
        assert!(matches!(returned, Err(Failure(Kind::Returned(text))) if text == "invalid digit found in string"));
    }
}
