//! scratch: climb model=mobilenet weights=F out=x.png layers=a,b count=8 key=value...
use candlewick::explain::*;
use candlewick::prelude::*;
use std::time::Instant;

fn arg(name: &str) -> Option<String> {
    std::env::args().find_map(|a| a.strip_prefix(&format!("{name}=")).map(str::to_owned))
}
fn num<T: std::str::FromStr>(name: &str, or: T) -> T {
    arg(name).and_then(|v| v.parse().ok()).unwrap_or(or)
}
fn main() {
    if let Err(e) = run() { eprintln!("{e}"); std::process::exit(2) }
}
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let f: Vec<&str> = s.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    (f[11].parse::<f64>().unwrap_or(0.) + f[12].parse::<f64>().unwrap_or(0.)) / 100.
}
fn run() -> Result<()> {
    let _ = rayon_threads();
    let base = if arg("pixels").is_some() { FilterOptions::pixels() } else { FilterOptions::default() };
    let o = FilterOptions {
        steps: num("steps", base.steps), learning_rate: num("lr", base.learning_rate), side: num("side", base.side),
        jitter: num("jitter", base.jitter), rotation: num("rotation", base.rotation), zoom: num("zoom", base.zoom),
        total_variation: num("tv", base.total_variation), decay: num("decay", base.decay), seed: num("seed", base.seed),
        objective: if arg("centre").is_some() { Objective::Centre } else { base.objective }, ..base };
    let weights = arg("weights").unwrap_or_default();
    let net: Box<dyn Explain> = match arg("model").as_deref() {
        Some("inception") => Box::new(if weights.is_empty() { InceptionV3::random(1)? } else { InceptionV3::load(&weights)? }.folded()?),
        _ => Box::new(if weights.is_empty() { MobileNetV2::random(1)? } else { MobileNetV2::load(&weights)? }.folded()?),
    };
    let count = num("count", 8usize);
    let mut rows: Vec<Vec<Pixels>> = vec![];
    for layer in arg("layers").unwrap_or_default().split(',').filter(|l| !l.is_empty()) {
        let (t, c) = (Instant::now(), cpu());
        let f = net.some_filters(layer, count, o.clone())?;
        report(layer, &f, t, c);
        rows.push(f.pictures().map(|(_, p)| p.clone()).collect());
    }
    if let Some(classes) = arg("classes") {
        let names: Vec<&str> = classes.split(',').collect();
        let (t, c) = (Instant::now(), cpu());
        let f = net.class_pictures(&names, o.clone())?;
        report("classes", &f, t, c);
        rows.push(f.pictures().map(|(_, p)| p.clone()).collect());
    }
    let cols = num("cols", 8usize);
    let tiles: Vec<Option<&Pixels>> = rows.iter().flat_map(|r| { let mut v: Vec<_> = r.iter().map(Some).collect(); while v.len() % cols != 0 { v.push(None) } v }).collect();
    let s = o.side + 4;
    let (h, w) = (tiles.len().div_ceil(cols) * s, cols * s);
    let mut rgb = vec![255u8; h * w * 3];
    for (i, t) in tiles.iter().enumerate() {
        let Some(t) = t else { continue };
        for y in 0..o.side { let to = ((i / cols * s + y) * w + i % cols * s) * 3; rgb[to..to + o.side * 3].copy_from_slice(&t.rgb[y * o.side * 3..(y + 1) * o.side * 3]); }
    }
    std::fs::write(arg("out").unwrap_or("/tmp/climb.png".into()), Pixels::new(h, w, rgb)?.to_png()?).unwrap();
    Ok(())
}
fn rayon_threads() -> bool { true }
fn report(what: &str, f: &Filters, t: Instant, c: f64) {
    println!("{what}: {f}  wall {:.1} cpu {:.1}", t.elapsed().as_secs_f64(), cpu() - c);
    for x in &f.filters {
        let o = &x.objective;
        let at = |i: usize| o.get(i).copied().unwrap_or(f32::NAN);
        println!("   {} {:?} {:.3} {:.3} {:.3} -> {:.3}", x.name, x.ended, at(0), at(o.len() / 4), at(o.len() / 2), at(o.len() - 1));
    }
}
