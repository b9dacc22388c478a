"""Alerts: rules over what a store holds, and who is told when one begins and ceases to hold."""
