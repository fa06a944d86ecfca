"""Outputs arrive while the cell runs. What came when is told by the order of messages, never by a clock."""

import json

from front_end import text_of


def with_gates(folder, code):
    """Code in which `gate(name)` waits for the file that the test writes: what it saw before, it saw while the cell ran."""
    gate = """
    fn gate(name: &str) {
        while !std::path::Path::new(%s).join(name).exists() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    """
    return gate % json.dumps(str(folder)) + code


def test_each_kind_of_output_arrives_before_the_cell_goes_on(kernel, tmp_path):
    code = """
    println!("whole line"); gate("1");
    print!("no newline"); std::io::Write::flush(&mut std::io::stdout())?; gate("2");
    eprintln!("an error's line"); gate("3");
    candlewick::notebook::display::text("first display"); gate("4");
    candlewick::notebook::display::html("<b>second</b>", "second display"); gate("5");
    "a value"
    """
    cell = kernel.send(with_gates(tmp_path, code))
    cell.until_printed("whole line")
    (tmp_path / "1").touch()
    cell.until_printed("no newline")
    (tmp_path / "2").touch()
    cell.until(lambda _: "an error's line" in text_of(cell.messages, "stderr"))
    (tmp_path / "3").touch()
    cell.until(lambda m: m["content"].get("data", {}).get("text/plain") == "first display")
    (tmp_path / "4").touch()
    cell.until(lambda m: m["content"].get("data", {}).get("text/html") == "<b>second</b>")
    assert not cell.of("execute_result")
    (tmp_path / "5").touch()
    assert cell.end().value == '"a value"'


def test_a_named_display_is_replaced_and_keeps_its_place(kernel, tmp_path):
    code = """
    for step in 1..=3 {
        candlewick::notebook::display::update("loss", &format!("step {step}"));
        println!("after {step}");
        gate(&step.to_string());
    }
    """
    cell = kernel.send(with_gates(tmp_path, code))
    for step in range(1, 4):
        shown = cell.until(lambda m: m["msg_type"].endswith("display_data"))
        assert shown["msg_type"] == ("display_data" if step == 1 else "update_display_data")
        assert shown["content"]["data"]["text/plain"] == f"step {step}"
        assert shown["content"]["transient"]["display_id"] == "loss"
        cell.until_printed(f"after {step}\n")
        (tmp_path / str(step)).touch()
    assert cell.end().status == "ok"


def test_a_progress_bar_moves_between_the_lines_around_it(kernel, tmp_path):
    code = """
    println!("before");
    let bar = candlewick::notebook::Progress::new("Reading", Some(400), "photos");
    for name in ["1", "2", "3"] {
        for _ in 0..100 {
            bar.advance(1);
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        gate(name);
    }
    bar.advance(100);
    drop(bar);
    println!("behind");
    """
    cell = kernel.send(with_gates(tmp_path, code))
    cell.until_printed("before")
    first = cell.until(lambda m: m["msg_type"] == "display_data")["content"]
    assert "Reading" in first["data"]["text/plain"] and "<progress" in first["data"]["text/html"]
    for name in ["1", "2", "3"]:
        moved = cell.until(lambda m: m["msg_type"] == "update_display_data")["content"]
        assert moved["transient"] == first["transient"]
        (tmp_path / name).touch()
    cell.end()
    texts = [m["data"]["text/plain"] for m in cell.of("display_data") + cell.of("update_display_data")]
    counts = [int(text.split()[1].split("/")[0]) for text in texts]
    assert counts == sorted(counts) and len(set(counts)) >= 3
    assert counts[-1] == 400
    assert "behind" in text_of(cell.messages[-1:])


def test_curves_grow_in_one_place_while_training_lasts(kernel):
    kernel.good(
        "use candlewick::prelude::*;\n"
        "let photos = sketches(Sketches::CatsVsDogs, 40, 1);\n"
        "let (training, validation) = photos.split(0.8, 1)?;\n"
        "let mut model = TransferModel::new(MobileNetV2::random(1)?.freeze()?, photos.classes())?.keep_features_in(None);"
    )
    cell = kernel.send(
        "let history = model.fit(&training, &validation, FitOptions { epochs: 1_000_000, ..FitOptions::default() })?;"
    )
    first = cell.until(lambda m: "epoch 1/" in m["content"].get("data", {}).get("text/plain", ""))
    assert first["msg_type"] == "display_data"
    pictures = []
    for _ in range(3):
        grown = cell.until(lambda m: m["msg_type"] == "update_display_data" and "<img" in m["content"]["data"]["text/html"])
        assert grown["content"]["transient"] == first["content"]["transient"]
        pictures.append(grown["content"]["data"]["text/html"])
    assert len(set(pictures)) == 3
    kernel.interrupt()
    cell.end()
    # In the end the lines stay and the curves go: `history.plot()` draws them.
    last = [m for m in cell.of("update_display_data") if m["transient"] == first["content"]["transient"]][-1]
    assert "epoch" in last["data"]["text/plain"] and "text/html" not in last["data"]
    assert kernel.run("history.interrupted").value == "true"


def test_clearing_happens_between_what_stands_around_it(kernel):
    code = """
    println!("gone");
    candlewick::notebook::clear_output(true);
    candlewick::notebook::display::text("there");
    """
    cell = kernel.good(code)
    assert [m["msg_type"] for m in cell.messages] == ["stream", "clear_output", "display_data"]
    assert cell.of("clear_output") == [{"wait": True}]


def test_both_streams_and_displays_keep_their_order(kernel):
    code = """
    for i in 0..20 {
        println!("{i}");
        candlewick::notebook::display::text(&i.to_string());
    }
    """
    said = [
        int(m["content"]["text"] if m["msg_type"] == "stream" else m["content"]["data"]["text/plain"])
        for m in kernel.good(code).messages
    ]
    assert said == [i for i in range(20) for _ in range(2)]


def test_threads_of_a_cell_print_while_the_next_one_runs(kernel, tmp_path):
    kernel.good(with_gates(tmp_path, """
    let thread = std::thread::spawn(move || { gate("go"); println!("from the thread"); });
    """))
    cell = kernel.send('println!("next"); thread.join().map_err(|_| "the thread panicked")?;')
    cell.until_printed("next")
    (tmp_path / "go").touch()
    assert "from the thread" in cell.end().text


def test_threads_of_a_cell_print_while_nothing_runs(kernel):
    """More than any queue holds: a thread that nobody reads would wait."""
    cell = kernel.good("""
    std::thread::spawn(|| for i in 0..3000 { println!("{i} {}", "x".repeat(1000)); });
    """)
    cell.idle = False
    cell.until_printed("2999 ")
    lines = [line.split()[0] for line in cell.text.splitlines()]
    assert lines == [str(i) for i in range(3000)]


def test_strange_text_arrives_whole(kernel):
    cell = kernel.good("""
    use std::io::Write;
    let long = "x".repeat(1 << 20);
    print!("{long}");
    std::io::stdout().write_all(b"\\xff\\n")?;
    print!("end");
    std::io::stdout().flush()?;
    """)
    assert cell.text == "x" * (1 << 20) + "\ufffd\nend"
