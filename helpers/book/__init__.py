"""What only the book needs: sweeps, pages, results, published numbers, tables and claims.

The library never imports this package.
"""
