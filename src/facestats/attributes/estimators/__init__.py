"""Fitted scikit-learn estimators as arrays and facts: taken apart, checked, put together again."""
