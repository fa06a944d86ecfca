//! Variables that outlive their cell, here in the helper crate's one dylib, so that all cells share them.

use super::Failure;
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;

thread_local! {
    /// Cells run on one thread, and what they keep need not be `Send`.
    static KEPT: RefCell<HashMap<String, Box<dyn Any>>> = RefCell::default();
}

/// Only a type that a variable cannot have implements this: the compiler's complaint names the variable's type.
pub trait Kept {}

/// Never runs: it makes the compiler say what type `T` is.
pub fn type_of<T: Kept>(_: &T) {}

fn gone(name: &str) -> Failure {
    format!("the variable `{name}` is gone").into()
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
        None => Err(gone(name)),
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
        Err(_) => Err(gone(name)),
    }
}

#[inline(never)]
fn take_any(name: &str, wanted: TypeId, size: usize) -> Result<Box<dyn Any>, Failure> {
    check_type(name, wanted, size)?;
    KEPT.with_borrow_mut(|kept| kept.remove(name)).ok_or_else(|| gone(name))
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
}
