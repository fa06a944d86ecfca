fn main() {
    evcxr::runtime_hook();
    use candlewick_kernel::{build::*, session::*};
    let t0 = std::time::Instant::now();
    if let Some(_) = candlewick_kernel::settle::settle().unwrap() {
        return;
    }
    let template = Template::ready(&mut |s| eprintln!("{s:?}")).unwrap();
    eprintln!("template {:?}", t0.elapsed());
    let options = SessionOptions {
        runtime: std::env::current_exe().unwrap(),
        directory: std::env::current_dir().unwrap(),
        environment: vec![],
    };
    let mut s = EvcxrSession::open(&template, &options).unwrap();
    eprintln!("open {:?}", t0.elapsed());
    for cell in std::fs::read_to_string(std::env::args().nth(1).unwrap()).unwrap().split("\n---\n") {
        let t = std::time::Instant::now();
        let o = s.execute(cell, &mut |o| eprintln!("   {o:?}"));
        match o {
            Outcome::CompileErrors(d) => {
                for d in d {
                    eprintln!("{:?} {:?}\n{}", d.line, d.column, d.rendered)
                }
            }
            o => eprintln!("{o:?}"),
        }
        eprintln!("=> {:?} at {:?} (peak {:?})", t.elapsed(), t0.elapsed(), s.peak_memory());
    }
}
