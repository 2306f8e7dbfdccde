"""Tests with the real SDKs, each as far as it is installed."""
