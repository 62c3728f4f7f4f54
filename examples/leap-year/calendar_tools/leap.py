"""Leap years and what follows from them."""

DAYS_IN_MONTH = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def is_leap_year(year: int) -> bool:
    """Every fourth year is a leap year, but centuries are not."""
    return year % 4 == 0 and year % 100 != 0


def days_in_year(year: int) -> int:
    """365, or 366 in a leap year."""
    return 366 if is_leap_year(year) else 365


def days_in_month(year: int, month: int) -> int:
    """The length of a month, counted from 1; February depends on the year."""
    if not 1 <= month <= 12:
        raise ValueError(f"month must be 1 to 12, not {month}")
    if month == 2 and is_leap_year(year):
        return 29
    return DAYS_IN_MONTH[month - 1]


def day_of_year(year: int, month: int, day: int) -> int:
    """The number of a day within its year: 1 January is 1."""
    if not 1 <= day <= days_in_month(year, month):
        raise ValueError(f"{year}-{month:02} has no day {day}")
    return sum(days_in_month(year, m) for m in range(1, month)) + day
