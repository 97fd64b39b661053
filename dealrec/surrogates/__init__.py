"""Small sequential recommenders behind one interface, and one trainer for all of them."""
