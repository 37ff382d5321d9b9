name = Bon
description = Un service auquel vous avez droit, une ou plusieurs fois. Votre nom n’y figure pas.
source = L’organisation ou le service qui donne des bons pour ce service.

claim-serials = Identifiant d’une utilisation
    .description = Un texte aléatoire qui représente une utilisation. Vous n’en montrez qu’un à la fois, et jamais deux fois le même : il ne permet pas de relier deux utilisations.
claim-entitlementId = Numéro du bon
    .description = Pour les anciens bons : un numéro aléatoire qui sert à compter les utilisations. Il permet de relier toutes les utilisations d’un même bon.
claim-service = Service
    .description = Ce que vous obtenez avec le bon.
claim-redeemer = Accepté par
    .description = Qui compte les utilisations. Personne d’autre ne peut accepter le bon.
claim-uses = Utilisations
    .description = Le nombre total d’utilisations du bon.
