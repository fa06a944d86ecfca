//! Photos with a class each: from a folder, from the catalogue, or drawn.
