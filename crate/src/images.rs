//! Photos to tensors: decode, resize as Pillow does, normalise as the backbone expects.
