name = Bon avec budget
description = De l’argent pour un seul usage, que vous dépensez par parts. Votre nom n’y figure pas.
source = L’organisation ou le service dont le programme donne des bons.

claim-serials = Identifiant d’une unité
    .description = Un texte aléatoire qui représente une unité. Vous n’en montrez qu’un à la fois, et jamais deux fois le même : il ne permet pas de relier deux paiements.
claim-programme = Programme
    .description = Le programme qui vous donne le bon.
claim-purse = Bourse
    .description = Ce pour quoi vous pouvez dépenser l’argent.
claim-redeemer = Accepté par
    .description = Qui accepte le bon et compte les unités. Personne d’autre ne peut l’accepter.
claim-uses = Unités
    .description = Le nombre total d’unités que vous pouvez dépenser.
claim-unitValue = Valeur d’une unité
    .description = Ce que vaut une unité.
claim-currency = Monnaie
    .description = La monnaie de cette valeur.
