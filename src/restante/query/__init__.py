"""One search language for every protocol, and the orders that go with it.

- `language`: queries as values. `order`: criteria of SORT.
- `words`: what a person types into a search field, made a query.
- `threads`: THREAD's trees, by `references` or `ordered_subject`.
- `grams`: pieces of text that an index knows, and how close two texts are.
"""
