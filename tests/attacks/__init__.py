"""The attacks of the table of controls that only a host made for tests may suffer, one module for each section.

They do what users would notice: insert accounts and lock one, upload programs, write into the database. The playbook
``prove`` has none of them; what is harmless anywhere is in ``plugins/module_utils/_attacks``.
``tests/hosts/attacks.py`` runs them.
"""
