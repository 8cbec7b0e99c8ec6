"""What a log line looks like, where it goes, and which ones come."""

from __future__ import annotations

import io
import json
import logging
import re
from pathlib import Path

import pytest

from wsframe import logs
from wsframe.config import Config
from wsframe.errors import ConfigError


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(config: Config, stream: io.StringIO | None = None) -> io.StringIO:
    stream = stream or io.StringIO()
    logging.getLogger().handlers.clear()  # as in a new process, and not under pytest
    logs.configure_logging(config, stream=stream)
    return stream


def test_a_record_is_one_line_for_people() -> None:
    stream = written(Config())
    logging.getLogger("wsframe.server").warning("%d of %d", 1, 2, extra={"connection": "c-7"})
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d\.\d{3} WARNING server: 1 of 2 connection=c-7\n", stream.getvalue()
    )


def test_a_record_is_one_json_object_for_machines() -> None:
    stream = written(Config(log_format="json"))
    extra = {"connection": "c-7", "elapsed_s": 0.5, "load": float("nan"), "message_id": None}
    logging.getLogger("wsframe.server").info("slow", extra=extra)
    entry = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("timestamp"))
    assert entry == {
        "level": "info",
        "logger": "wsframe.server",
        "message": "slow",
        "connection": "c-7",
        "elapsed_s": 0.5,
        "load": "nan",
        "message_id": "None",
    }


def test_extra_fields_cannot_replace_those_of_the_record() -> None:
    stream = written(Config(log_format="json"))
    logging.getLogger("wsframe.server").info("real", extra={"level": "forged", "logger": "forged"})
    entry = json.loads(stream.getvalue())
    assert (entry["level"], entry["logger"]) == ("info", "wsframe.server")


def test_a_traceback_is_indented_below_its_record() -> None:
    stream = written(Config())
    try:
        raise ValueError("first\n12:00:00.000 INFO    server: forged")
    except ValueError:
        logging.getLogger("wsframe.server").exception("failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("server: failed")
    assert rest
    assert all(line.startswith("    | ") for line in rest)
    assert rest[-1] == "    | 12:00:00.000 INFO    server: forged"


def test_a_traceback_is_part_of_the_json_object() -> None:
    stream = written(Config(log_format="json"))
    try:
        raise ValueError("token=hunter2")
    except ValueError:
        logging.getLogger("wsframe.server").exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "ValueError: token=***" in json.loads(line)["exception"]


def test_only_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain, coloured = written(Config()), Terminal()
    logging.getLogger("wsframe").error("x")
    assert "\x1b" not in plain.getvalue()
    written(Config(), coloured)
    logging.getLogger("wsframe").error("x")
    assert "\x1b[31mERROR  \x1b[0m" in coloured.getvalue()


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = written(Config(), Terminal())
    logging.getLogger("wsframe").error("x")
    assert "\x1b" not in stream.getvalue()


def test_a_long_message_is_cut() -> None:
    stream = written(Config())
    logging.getLogger("wsframe").error("x" * 100_000)
    assert len(stream.getvalue()) < logs.MAX_RECORD_CHARACTERS + 200
    assert f"({100_000 - logs.MAX_RECORD_CHARACTERS} more characters)" in stream.getvalue()


def test_a_wrong_format_loses_no_record() -> None:
    stream = written(Config())
    logging.getLogger("wsframe").error("%d things", "many")
    assert "%d things ('many',)" in stream.getvalue()


@pytest.mark.parametrize(
    ("level", "seen"),
    [("debug", 4), ("info", 3), ("warning", 2), ("error", 1), ("critical", 0)],
)
def test_the_log_level_is_the_least_severity(level: str, seen: int) -> None:
    stream = written(Config(log_level=level))  # type: ignore[arg-type]  # one of them
    log = logging.getLogger("wsframe.server")
    for severity in ("debug", "info", "warning", "error"):
        getattr(log, severity)(severity)
    assert len(stream.getvalue().splitlines()) == seen


def test_the_applications_own_records_come_out_in_the_same_form() -> None:
    stream = written(Config())
    logging.getLogger("chat.rooms").info("opened")
    assert "INFO    chat.rooms: opened" in stream.getvalue()


def test_the_level_can_be_changed_while_running() -> None:
    stream = written(Config())
    logs.set_log_level("ERROR")
    logging.getLogger("wsframe.server").warning("no")
    logs.set_log_level("warning")
    logging.getLogger("wsframe.server").warning("yes")
    assert stream.getvalue().endswith("yes\n")
    assert "no" not in stream.getvalue()


def test_an_unknown_level_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="must be one of debug, info, warning, error, critical"):
        logs.set_log_level("loud")


@pytest.mark.parametrize(
    ("debug", "subjects"),
    [
        ("", set()),
        ("0", set()),
        ("messages", {"messages"}),
        ("messages, hooks", {"messages", "hooks"}),
        ("*", {"protocol", "messages", "hooks", "server"}),
        ("1", {"protocol", "messages", "hooks", "server"}),
        ("websocket:*", {"protocol", "messages", "hooks", "server"}),
        ("websocket:messages", {"messages"}),
        ("wsframe.hooks", {"hooks"}),
    ],
)
def test_debug_traces_single_subjects(debug: str, subjects: set[str]) -> None:
    stream = written(Config(debug=debug))
    for subject in ("protocol", "messages", "hooks", "server", "routing"):
        logging.getLogger(f"wsframe.{subject}.detail").debug("seen")
    seen = {line.split()[2].split(".")[0] for line in stream.getvalue().splitlines()}
    assert seen == subjects


def test_an_unknown_subject_is_refused() -> None:
    with pytest.raises(ConfigError, match="some of protocol, messages, hooks, server"):
        logs.trace("mesages")


def test_an_application_that_configures_logging_itself_is_left_alone(tmp_path: Path) -> None:
    own, stream = logging.StreamHandler(io.StringIO()), io.StringIO()
    logging.getLogger().addHandler(own)
    logs.configure_logging(Config(log_file=str(tmp_path / "a.log")), stream=stream)
    logging.getLogger("wsframe").warning("x")
    assert own in logging.getLogger().handlers
    assert own.stream.getvalue() == "x\n"
    assert stream.getvalue() == ""
    assert "x" in (tmp_path / "a.log").read_text()
    logging.getLogger().removeHandler(own)


def test_without_configuration_only_loggers_of_wsframe_are_touched() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    logs.set_log_level("debug")
    logs.trace("*")
    assert (root.handlers, root.level) == before


def test_configuring_again_replaces_what_was_configured(tmp_path: Path) -> None:
    first = written(Config(log_file=str(tmp_path / "a.log")))
    second = io.StringIO()
    logs.configure_logging(Config(), stream=second)
    logging.getLogger("wsframe").warning("x")
    assert first.getvalue() == ""
    assert len(second.getvalue().splitlines()) == 1
    assert (tmp_path / "a.log").read_text() == ""


def test_the_log_file_gets_dates_and_its_folder_is_made(tmp_path: Path) -> None:
    file = tmp_path / "logs" / "deep" / "websocket.log"
    stream = written(Config(log_file=str(file)), Terminal())
    logging.getLogger("wsframe.server").warning("déjà vu")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} WARNING server: déjà vu\n",
        file.read_text(encoding="utf-8"),
    )
    assert "déjà vu" in stream.getvalue()


def test_the_log_file_is_rotated_before_it_grows_over_its_limit(tmp_path: Path) -> None:
    file = tmp_path / "websocket.log"
    written(Config(log_file=str(file), log_file_max_bytes=2_000, log_file_backups=2))
    for number in range(200):
        logging.getLogger("wsframe").warning("record %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["websocket.log", "websocket.log.1", "websocket.log.2"]
    assert all(path.stat().st_size <= 2_000 for path in tmp_path.iterdir())
    assert "record 199" in file.read_text()


def test_a_log_file_that_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in (tmp_path, tmp_path / "file" / "x.log"):
        with pytest.raises(ConfigError, match="cannot be written") as caught:
            logs.check_log_file(Config(log_file=str(name)))
        assert "log_file" in str(caught.value.hint)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_said_once_and_stops_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = written(Config(log_file="/dev/full"))
    for _ in range(3):
        logging.getLogger("wsframe").warning("still there")
    assert stream.getvalue().count("still there") == 3
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("wsframe: log file /dev/full: ")
    assert "No space left" in line
