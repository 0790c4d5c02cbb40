"""How good the recommendations are: public protocols, their metrics, and a backtest on a shop's own log."""
