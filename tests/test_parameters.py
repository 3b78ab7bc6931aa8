"""The guard of a chapter's parameters refuses misspelt, missing and impossible ones, with a message that helps."""

import subprocess
import sys

import pytest

from featnorm.publish.parameters import checked, nonnegative, one_of, positive_int

RULES = {"h": positive_int, "rho": nonnegative, "init": one_of("balanced", "gaussian")}


def namespace(**extra):
    """What a kernel's globals() hold after a parameters cell and the import of the guard."""
    kernel = {"__name__": "__main__", "_": "", "_ih": [""], "In": [""], "Out": {}, "open": open, "exit": exit}
    return kernel | {"h": 8, "rho": 0.02, "init": "balanced", "checked": checked, "sys": sys} | extra


def test_valid_values_come_back_as_attributes():
    p = checked(namespace(rho=1), **RULES)
    assert (p.h, p.rho, p.init) == (8, 1.0, "balanced")
    assert isinstance(p.rho, float)


def test_an_unknown_name_is_refused_with_the_closest_match_and_the_valid_ones():
    with pytest.raises(ValueError, match=r"unknown parameter 'roh' \(did you mean 'rho'\?\)") as error:
        checked(namespace(roh=0.1), **RULES)
    for text in ("h = 8", "rho = 0.02", "init = 'balanced'"):
        assert text in str(error.value)


def test_an_unknown_name_unlike_all_others_gets_no_suggestion():
    with pytest.raises(ValueError, match="unknown parameter 'temperature'; the parameters are"):
        checked(namespace(temperature=1), **RULES)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("h", 0),
        ("h", 2.5),
        ("h", True),
        ("rho", -0.1),
        ("rho", float("nan")),
        ("rho", "x"),
        ("rho", None),
        ("init", "x"),
    ],
)
def test_an_impossible_value_is_refused_with_name_value_and_range(name, value):
    with pytest.raises(ValueError, match=f"{name} = .*must be .*the parameters are") as error:
        checked(namespace(**{name: value}), **RULES)
    assert f"{name} = {value!r}: must be" in str(error.value)


def test_a_rule_without_a_parameter_is_refused():
    ns = namespace()
    del ns["rho"]
    with pytest.raises(ValueError, match="'rho' is not set in the parameters cell"):
        checked(ns, **RULES)


def test_a_reader_may_run_the_cell_again_after_the_chapter_has_made_its_own_names():
    ns = namespace()
    checked(ns, **RULES)
    ns["result"] = 3.0
    assert checked(ns | {"rho": 0.5}, **RULES).rho == 0.5
    with pytest.raises(ValueError, match="rho = -1"):
        checked(ns | {"rho": -1}, **RULES)


def test_a_refused_call_does_not_count_as_the_first():
    ns = namespace(roh=1)
    for _ in range(2):
        with pytest.raises(ValueError, match="roh"):
            checked(ns, **RULES)


def test_every_name_of_a_real_kernel_is_recognised():
    """A name that IPython adds to a fresh kernel must not be taken for a parameter."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "r = S.instance().run_cell('from featnorm.publish.parameters import checked, positive_int\\n"
        "h = 8\\nassert checked(globals(), h=positive_int).h == 8')\n"
        "r.raise_error()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("name", "value"),
    [("_rho", 0.1), ("__rho", 0.1), ("In", 3), ("Out", []), ("_i", 5), ("_ih", 1), ("checked", 5), ("roh", max)],
)
def test_private_and_reserved_names_are_refused(name, value):
    with pytest.raises(ValueError, match=f"unknown parameter '{name}'"):
        checked(namespace(**{name: value}), **RULES)


@pytest.mark.parametrize("line", ["checked = 5", "_i1 = 5", "a = _rho = 1", "In: int = 5", "positive_int = 5"])
def test_an_assignment_that_was_written_over_is_refused(line):
    """An injected `checked = 5` is gone once the chapter imports its function; the history of cells still shows it."""
    with pytest.raises(ValueError, match="unknown parameter"):
        checked(namespace(In=["", "h = 8", line, "import checked"]), **RULES)


def test_the_history_of_a_good_chapter_is_accepted():
    history = ["", "h = 8\nrho = 0.02", "init = [k for k in ('a', 'b')][0]", "%matplotlib inline", "p = checked()"]
    assert checked(namespace(In=history, _i1="", _1=3, _oh={}, _dh=[]), **RULES).h == 8
