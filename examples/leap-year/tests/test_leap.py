import pytest

from calendar_tools import day_of_year, days_in_month, days_in_year, is_leap_year


@pytest.mark.parametrize(
    ("year", "expected"),
    [
        (2023, False),
        (2024, True),
        (1900, False),
        (2000, True),
        (2100, False),
    ],
)
def test_is_leap_year(year: int, expected: bool) -> None:
    assert is_leap_year(year) is expected


@pytest.mark.parametrize(("year", "expected"), [(2023, 365), (2024, 366)])
def test_days_in_year(year: int, expected: int) -> None:
    assert days_in_year(year) == expected


@pytest.mark.parametrize(
    ("year", "month", "expected"),
    [(2023, 2, 28), (2024, 2, 29), (2024, 4, 30), (2024, 12, 31)],
)
def test_days_in_month(year: int, month: int, expected: int) -> None:
    assert days_in_month(year, month) == expected


def test_the_last_day_of_a_leap_century() -> None:
    assert day_of_year(2000, 12, 31) == 366


def test_a_day_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="2023-02 has no day 29"):
        day_of_year(2023, 2, 29)
