"""Rules for arguments: what each accepts, and that a refusal names argument, value and rule."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featnorm import scale
from featnorm._validate import array, between, natural, nonnegative, one_of, positive, positive_int, symmetric
from featnorm.scale import Scale

NOT_NUMBERS = [None, "3", [1.0], 1j, True, np.bool_(True), math.nan, math.inf, -math.inf, 10**400, np.array(1.0)]
UNIT = between(-1, 1)


@pytest.mark.parametrize(
    "rule, bad, words",
    [(positive_int, v, "a whole number >= 1") for v in [*NOT_NUMBERS[:-2], 0, -1, 2.0, 2.5, np.float64(3)]]
    + [(natural, v, "a whole number >= 0") for v in [*NOT_NUMBERS[:-2], -1, 2.0, 2.5]]
    + [(positive, v, "a finite number > 0") for v in [*NOT_NUMBERS, 0, 0.0, -1e-300]]
    + [(nonnegative, v, "a finite number >= 0") for v in [*NOT_NUMBERS, -1e-300]]
    + [(UNIT, v, "a number from -1 to 1") for v in [*NOT_NUMBERS, 1.0000001, -2]]
    + [(one_of("a", "b"), v, "one of a, b") for v in [None, "c", "A", "", 1, ["a"]]],
)
def test_refusals_name_argument_value_and_rule(rule, bad, words):
    with pytest.raises(ValueError) as error:
        rule("knob", bad)
    assert str(error.value) == f"knob = {bad!r}: must be {words}"


@given(st.integers(1, 2**70), st.floats(min_value=5e-324, allow_infinity=False))
def test_accepted_values_come_back(whole, real):
    assert positive_int("n", whole) == natural("n", whole) == whole
    assert positive("x", real) == nonnegative("x", real) == real
    assert between(real, real)("x", real) == real


@pytest.mark.parametrize(
    "rule, value, wanted",
    [
        (positive_int, np.int32(3), int),
        (natural, 0, int),
        (positive, 1, float),
        (positive, Fraction(1, 2), float),
        (nonnegative, np.float32(0.5), float),
        (nonnegative, -0.0, float),
        (UNIT, -1, float),
        (UNIT, 1, float),
        (one_of("a", "b"), "b", str),
    ],
)
def test_accepted_types_become_plain_ones(rule, value, wanted):
    assert type(rule("x", value)) is wanted and rule("x", value) == value


# Arrays ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value, words",
    [
        ([[1.0, 2.0]], r"^A: has shape \(1, 2\), must have shape \(2, any\)"),
        ([1.0, 2.0], r"^A: has shape \(2,\), must have shape \(2, any\)"),
        (3.0, r"^A: has shape \(\), must have shape"),
        (None, r"^A: has shape \(\), must have shape"),
        ([[1.0], [math.nan]], "^A: has 1 entries that are not finite"),
        ([[math.inf], [-math.inf]], "^A: has 2 entries that are not finite"),
        ([[1.0], [1.0, 2.0]], "^A: must be an array of real numbers"),
        ([[1.0], ["2"]], "^A: must be an array of real numbers"),
        ([["1"], ["2"]], "^A: must be an array of real numbers"),
        ([[1j], [0.0]], "^A: must be an array of real numbers"),
        (np.array([[1j], [0.0]]), "^A: must be an array of real numbers"),
        ([[{}], [0.0]], "^A: must be an array of real numbers"),
    ],
)
def test_array_refuses(value, words):
    with pytest.raises(ValueError, match=words):
        array("A", value, (2, None))


def test_array_converts():
    out = array("A", [[1], [Fraction(1, 2)]], (2, None))
    assert out.dtype == np.float64 and out.tolist() == [[1.0], [0.5]]
    assert array("A", np.float32([[1.5, 2.0]]), (None, 2)).dtype == np.float64


@pytest.mark.parametrize("size", [1e-300, 1e-13, 1.0, 1e300])
def test_symmetric_is_relative_to_the_size_of_the_matrix(size):
    A = size * np.array([[1.0, 2.0], [2.0, -3.0]])
    np.testing.assert_array_equal(symmetric("A", A, 2), A)
    A[0, 1] *= 1 + 1e-14  # rounding
    symmetric("A", A)
    A[0, 1] *= 1 + 1e-6
    with pytest.raises(ValueError, match=r"^A: must be symmetric, but differs"):
        symmetric("A", A)


def test_symmetric_refuses_other_shapes():
    with pytest.raises(ValueError, match=r"^A: has shape \(1, 2\), must be square"):
        symmetric("A", [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"^A: has shape \(1, 1\), must have shape \(2, 2\)"):
        symmetric("A", [[1.0]], 2)
    assert symmetric("A", np.zeros((3, 3))).shape == (3, 3)


# Scale ----------------------------------------------------------------------------------------------------------------


def test_scale_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("FEATNORM_SCALE", raising=False)
    assert scale.current() is Scale.BOOK
    for word, number in (("smoke", 1), ("book", 2), ("full", 3)):
        monkeypatch.setenv("FEATNORM_SCALE", word)
        assert scale.current() == word and scale.current().pick(smoke=1, book=2, full=3) == number
    for word in ("", "Smoke", "fast"):
        monkeypatch.setenv("FEATNORM_SCALE", word)
        with pytest.raises(ValueError, match=f"FEATNORM_SCALE = '{word}': must be one of smoke, book, full"):
            scale.current()
