"""Jupyter's own suite for kernels, every part of it, and what it leaves out."""

import time

import jupyter_kernel_test
import pytest

from front_end import KERNEL, PATIENCE, wait_until, with_children


class TestSuite(jupyter_kernel_test.KernelTests):
    @classmethod
    def setUpClass(cls):
        """rust-analyzer reads the packages once it is first asked: on a busy machine for longer than the suite waits."""
        super().setUpClass()

        def is_awake():
            cls.kc.inspect(cls.code_inspect_sample, len(cls.code_inspect_sample) - 1)
            return cls.kc.get_shell_msg(timeout=PATIENCE)["content"]["found"]

        wait_until(is_awake, "rust-analyzer to have read the packages")

    kernel_name = KERNEL
    language_name = "rust"
    file_extension = ".rs"
    code_hello_world = 'println!("hello, world");'
    code_stderr = 'eprintln!("oh no");'
    complete_code_samples = ["let x = 1;", "1 + 1", "fn f() -> i32 {\n    2\n}", '"// no comment"']
    incomplete_code_samples = ["fn f() {", 'println!("hi', "/* comment", "let x =", 'r#"raw"']
    invalid_code_samples = ["let = 3;", ")"]
    code_generate_error = 'panic!("no");'
    code_execute_result = [
        {"code": "6 * 7", "result": "42"},
        {"code": '"a".to_owned()', "result": '"a"'},
        {"code": "7 * 8", "result": "56"},
    ]
    code_display_data = [
        {"code": 'candlewick::notebook::display::html("<b>hi</b>", "hi");', "mime": "text/html"},
        {
            "code": "candlewick::plot::photo(&candlewick::images::Pixels::new(2, 2, vec![0; 12])?, \"p\")?.evcxr_display();",
            "mime": "image/svg+xml",
        },
    ]
    completion_samples = [{"text": "let number_of_photos = 3; number_of", "matches": {"number_of_photos"}}]
    code_clear_output = "candlewick::notebook::clear_output(false);"
    code_page_something = "??candlewick::prelude::Dataset"
    code_inspect_sample = "candlewick::prelude::Dataset"
    code_history_pattern = "6*"
    supported_history_operations = ("tail", "range", "search")


class TestWelcome(jupyter_kernel_test.IopubWelcomeTests):
    kernel_name = KERNEL
    support_iopub_welcome = True


@pytest.mark.parametrize(
    "code",
    [
        'candlewick::notebook::input("name? ").unwrap_or_default()',
        'let mut line = String::new();\nprint!("name? ");\nstd::io::stdin().read_line(&mut line)?;\nline.trim_end().to_owned()',
    ],
    ids=["input", "read_line"],
)
def test_a_cell_asks_and_is_answered(kernel, code):
    cell = kernel.send(code, allow_stdin=True)
    request = kernel.client.get_stdin_msg(timeout=PATIENCE)
    assert request["msg_type"] == "input_request"
    assert request["content"]["password"] is False
    kernel.client.input("Ada")
    cell.end()
    assert (cell.status, cell.value) == ("ok", '"Ada"')
    # Either as the request's own prompt or as printed text, but the person sees what is asked.
    assert "name? " in request["content"]["prompt"] + cell.text


def test_threads_that_ask_at_once_each_get_their_own_answer(kernel):
    cell = kernel.send(
        "{ let ask = |name: &'static str| std::thread::spawn(move || candlewick::notebook::input(name));\n"
        'let asked: Vec<_> = ["a", "b", "c", "d"].into_iter().map(ask).collect();\n'
        "let answers: Vec<_> = asked.into_iter().map(|it| it.join().unwrap().unwrap()).collect();\nanswers.concat() }",
        allow_stdin=True,
    )
    for _ in range(4):
        request = kernel.client.get_stdin_msg(timeout=PATIENCE)
        kernel.client.input(request["content"]["prompt"].upper())
    assert cell.end().value == '"ABCD"'
    assert kernel.run("1 + 1").value == "2"


@pytest.mark.parametrize(
    "code",
    ['candlewick::notebook::input("name? ")', "std::io::stdin().read_line(&mut String::new())?"],
    ids=["input", "read_line"],
)
def test_a_question_goes_with_the_process_that_asked(kernel, code):
    cell = kernel.send(code, allow_stdin=True)
    kernel.client.get_stdin_msg(timeout=PATIENCE)
    with_children(kernel.process)[1].kill()
    assert cell.end().status == "error"
    assert kernel.run("1 + 1").value == "2"


def test_a_secret_is_asked_for_as_one(kernel):
    cell = kernel.send('candlewick::notebook::secret_input("key? ")', allow_stdin=True)
    request = kernel.client.get_stdin_msg(timeout=PATIENCE)["content"]
    assert (request["prompt"], request["password"]) == ("key? ", True)
    kernel.client.input("s3cret")
    assert cell.end().value == 'Some("s3cret")'


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ('candlewick::notebook::input("name? ")', "None"),
        ("let mut line = String::new();\nstd::io::stdin().read_line(&mut line)?", "0"),
    ],
    ids=["input", "read_line"],
)
def test_where_nobody_can_be_asked_there_is_no_answer_and_no_hang(kernel, code, value):
    assert kernel.run(code, allow_stdin=False).value == value


def test_the_busy_and_idle_states_enclose_everything(kernel):
    request = kernel.client.execute('println!("a");\n7', allow_stdin=False)
    kinds = []
    while kinds[-1:] != ["idle"]:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") == request:
            kinds.append(message["content"].get("execution_state", message["msg_type"]))
    assert kinds == ["busy", "execute_input", "stream", "execute_result", "idle"]
    assert kernel.client.get_shell_msg(timeout=PATIENCE)["content"]["status"] == "ok"


def test_counts_begin_at_one_and_skip_what_is_not_stored(kernel):
    counts = [
        kernel.run(code, **arguments).reply["execution_count"]
        for code, arguments in [
            ("let a = 1;", {}),
            ("let b = 1;", {"store_history": False}),
            ("let c = 1;", {"silent": True}),
            ("let d = 1;", {}),
        ]
    ]
    assert counts == [1, 1, 1, 2]
    assert kernel.run("a + b + c + d").value == "4"


def test_a_silent_cell_says_nothing(kernel):
    cell = kernel.run('println!("a"); 7', silent=True)
    assert (cell.status, cell.messages) == ("ok", [])


def test_user_expressions_are_answered_each_by_itself(kernel):
    wanted = {"sum": "20 + 3", "wrong": "no_such_name"}
    values = kernel.run("let seen = 1;", user_expressions=wanted).reply["user_expressions"]
    assert values["sum"]["status"] == "ok"
    assert values["sum"]["data"]["text/plain"] == "23"
    assert values["wrong"]["status"] == "error"


def test_comms_are_none_and_asked_for_in_vain(kernel):
    kernel.client.comm_info()
    reply = kernel.client.get_shell_msg(timeout=PATIENCE)
    assert (reply["msg_type"], reply["content"]) == ("comm_info_reply", {"status": "ok", "comms": {}})


def complete(kernel, code, at):
    """The reply once there are matches: what knows the packages wakes at the first question, for seconds."""

    def answered():
        kernel.client.complete(code, cursor_pos=at)
        answers.append(kernel.client.get_shell_msg(timeout=PATIENCE)["content"])
        return answers[-1]["matches"]

    answers = []
    wait_until(answered, f"matches for {code!r}")
    return answers[-1]


def test_member_names_are_completed_in_their_place(kernel):
    kernel.good("let device = candlewick::prelude::Device::Cpu;")
    code = "let é = device.is_; // é"
    answer = complete(kernel, code, code.index(";"))
    assert {"is_cpu()", "is_cuda()"} <= set(answer["matches"])
    assert (answer["cursor_start"], answer["cursor_end"]) == (code.index("is_"), code.index(";"))
    kinds = {one["text"]: one["type"] for one in answer["metadata"]["_jupyter_types_experimental"]}
    assert kinds["is_cpu()"] == "function"


def test_what_nobody_may_use_is_not_offered(kernel):
    """The first answer of rust-analyzer has the crate's private fields and functions, too."""
    kernel.good("use candlewick::prelude::*;\nlet photos_of_mine = sketches(Sketches::CatsVsDogs, 4, 1);")
    code = "photos_of_mine."
    offered = set(complete(kernel, code, len(code))["matches"])
    assert {"len()", "classes()"} <= offered
    # A field, and functions of the type and of the crate.
    assert not {name for name in offered if name in ("is_sketches", "clone_without_photos()", "announce(name, why_not)")}, offered


def test_what_the_crate_says_of_a_name_is_shown(kernel):
    code = "candlewick::prelude::Dataset"
    complete(kernel, code, len(code))
    kernel.client.inspect(code, len(code) - 1)
    shown = kernel.client.get_shell_msg(timeout=PATIENCE)["content"]
    assert shown["found"], shown
    assert "pub struct Dataset" in shown["data"]["text/plain"]
    kernel.client.inspect("no_such_name", 3)
    assert not kernel.client.get_shell_msg(timeout=PATIENCE)["content"]["found"]


def test_what_the_notebook_defines_is_shown_with_its_code(kernel):
    source = "fn twice(x: u32) -> u32 {\n    x + x\n}"
    kernel.good(source)
    shown = []
    for level in (0, 1):
        kernel.client.inspect("twice(1)", 3, detail_level=level)
        shown.append(kernel.client.get_shell_msg(timeout=PATIENCE)["content"])
    assert "x + x" not in str(shown[0]) and source in shown[1]["data"]["text/plain"], shown


def test_the_next_kernel_knows_what_this_one_ran(kernel):
    cell = f"let of_an_earlier_kernel = {time.time_ns()}u64;"
    kernel.good(cell)
    kernel.manager.restart_kernel()
    kernel.client.wait_for_ready(timeout=PATIENCE)
    kernel.client.history(hist_access_type="tail", n=1000)
    entries = kernel.client.get_shell_msg(timeout=PATIENCE)["content"]["history"]
    assert cell in [code for _, _, code in entries]
