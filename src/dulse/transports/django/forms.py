"""What people may fill in on the pages of the admin site."""

from __future__ import annotations

from django import forms

__all__ = ["MOST", "MoveForm"]

MOST = 1000
"""Messages moved by one click."""


class MoveForm(forms.Form):
    """Where messages go, and how many."""

    destination = forms.CharField(label="to the queue", max_length=255)
    limit = forms.IntegerField(label="at most", min_value=1, max_value=MOST, initial=MOST)
