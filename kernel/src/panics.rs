//! What a caught panic says.

use std::any::Any;

/// The message of a panic, where it has one that is text.
pub fn message(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
}
