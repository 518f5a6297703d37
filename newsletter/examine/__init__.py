"""Look at one side of a newsletter's setting each, and say as findings what is right and what is not.

``setup`` looks at the configuration and the secret file, ``store`` at the ledger and where it lies, ``relay`` at the
way out, ``mx``, ``spf``, ``dkim``, ``dmarc`` and ``ptr`` at what DNS tells receivers about us. Each is a function that
yields a ``Finding`` for each thing it looked at. They write nothing, and print nothing: ``doctor`` calls them in order.
"""
